import { invalidArgument } from '../base/index.ts';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];

function scale(bytes: bigint): { value: number; unit: string } | undefined {
  const negative = bytes < 0n;
  const size = negative ? -bytes : bytes;
  let step = 0;
  let base = 1n;
  while (step < UNITS.length - 1 && size >= base * 1000n) {
    base *= 1000n;
    step++;
  }
  if (step === 0) return undefined;
  return { value: ((negative ? -1 : 1) * Number(size)) / Number(base), unit: UNITS[step] };
}

/** `12B`, `1.23kB`: two decimals, except for plain bytes. */
export function formatBytes(bytes: bigint): string {
  const scaled = scale(bytes);
  return scaled === undefined ? `${bytes}B` : `${scaled.value.toFixed(2)}${scaled.unit}`;
}

/** `1.2kB`: as many decimals as there are. */
export function formatBytesShort(bytes: bigint): string {
  const scaled = scale(bytes);
  return scaled === undefined ? `${bytes}B` : `${scaled.value}${scaled.unit}`;
}

const NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's time.ParseDuration: `1h30m`, `500ms`, `0`. Nanoseconds. */
export function parseGoDuration(text: string): bigint {
  const bad = (): never => {
    throw invalidArgument(`time: invalid duration ${JSON.stringify(text)}`);
  };
  const m = /^([+-]?)(.*)$/.exec(text);
  const body = m?.[2] ?? '';
  if (body === '0') return 0n;
  if (!/^(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))*$/.test(body)) bad();
  let total = 0;
  for (const [, number, unit] of body.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    total += Number(number) * NANOSECONDS[unit];
  }
  if (!Number.isFinite(total) || total > 9.2e18) bad();
  return BigInt(Math.round(total)) * (m?.[1] === '-' ? -1n : 1n);
}

/** Go's Duration.String for whole seconds and finer. */
export function formatGoDuration(ns: bigint): string {
  if (ns === 0n) return '0s';
  const sign = ns < 0n ? '-' : '';
  const abs = ns < 0n ? -ns : ns;
  if (abs < 1_000n) return `${sign}${abs}ns`;
  if (abs < 1_000_000n) return `${sign}${Number(abs) / 1e3}µs`;
  if (abs < 1_000_000_000n) return `${sign}${Number(abs) / 1e6}ms`;
  const hours = abs / 3_600_000_000_000n;
  const minutes = (abs / 60_000_000_000n) % 60n;
  const seconds = `${Number(abs % 60_000_000_000n) / 1e9}s`;
  if (hours > 0n) return `${sign}${hours}h${minutes}m${seconds}`;
  return minutes > 0n ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`;
}
