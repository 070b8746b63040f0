/** Nanoseconds since the Unix epoch. Node's wall clock has millisecond steps: the rest comes from the steady clock. */
export type TimeNs = bigint;

const offset = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();

export function nowNs(): TimeNs {
  return offset + process.hrtime.bigint();
}

/** For durations. Unlike `performance.now()`, which loads all of node:perf_hooks, there from the start. */
export function steadyMs(): number {
  const [seconds, nanos] = process.hrtime();
  return seconds * 1000 + nanos / 1_000_000;
}

export function timeFromMs(ms: number): TimeNs {
  return BigInt(Math.round(ms)) * 1_000_000n;
}

export function timeToMs(t: TimeNs): number {
  return Number(t / 1_000_000n);
}

/** RFC 3339 with up to nine decimals and trailing zeros cut, in UTC: Go's RFC3339Nano. */
export function formatTime(t: TimeNs): string {
  const seconds = t >= 0n ? t / 1_000_000_000n : (t - 999_999_999n) / 1_000_000_000n;
  const nanos = t - seconds * 1_000_000_000n;
  const base = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const fraction = nanos.toString().padStart(9, '0').replace(/0+$/, '');
  return fraction === '' ? `${base}Z` : `${base}.${fraction}Z`;
}

/** Inverse of {@link formatTime}; offsets other than Z are honoured. Undefined when the text is not RFC 3339. */
export function parseTime(text: string): TimeNs | undefined {
  const m = /^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\d*([Zz]|[+-]\d\d:\d\d)$/.exec(text);
  if (m === null) return undefined;
  const ms = Date.parse(`${m[1]}${m[3]}`);
  if (Number.isNaN(ms)) return undefined;
  return BigInt(ms) * 1_000_000n + BigInt((m[2] ?? '').padEnd(9, '0'));
}
