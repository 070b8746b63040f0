const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const MAX = (1n << 63n) - 1n;

/** Go's duration syntax (`1h30m`, `1.5s`, `0`) in nanoseconds; undefined when the text is none. */
export function parseDuration(text: string): bigint | undefined {
  const whole = /^([+-]?)((?:(?:\d{1,19}(?:\.\d{0,19})?|\.\d{1,19})(?:ns|us|µs|μs|ms|s|m|h)){1,16}|0)$/.exec(text);
  if (whole === null) return undefined;
  let total = 0n;
  for (const [, units, decimals = '', unit] of whole[2].matchAll(/(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g)) {
    total += BigInt(units || '0') * UNITS[unit];
    total += (BigInt(decimals || '0') * UNITS[unit]) / 10n ** BigInt(decimals.length);
  }
  if (total > MAX) return undefined;
  return whole[1] === '-' ? -total : total;
}
