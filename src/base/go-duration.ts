/** Durations as Go's programs write and read them, in nanoseconds. */

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

/** time.ParseDuration (`1h30m`, `1.5s`, `0`); undefined when the text is none. */
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

/** time.Duration.String: `1h0m0.5s`, `1.5ms`, `0s`. */
export function formatDuration(nanoseconds: bigint): string {
  if (nanoseconds === 0n) return '0s';
  if (nanoseconds < 0n) return `-${formatDuration(-nanoseconds)}`;
  for (const unit of ['ns', 'µs', 'ms'] as const) {
    if (nanoseconds < UNITS[unit] * 1000n) return `${decimal(nanoseconds, UNITS[unit])}${unit}`;
  }
  const seconds = `${decimal(nanoseconds % UNITS.m, UNITS.s)}s`;
  const minutes = nanoseconds / UNITS.m;
  if (minutes === 0n) return seconds;
  return minutes < 60n ? `${minutes}m${seconds}` : `${minutes / 60n}h${minutes % 60n}m${seconds}`;
}

/** `value / unit` with as many decimals as it has; `unit` is a power of ten. */
function decimal(value: bigint, unit: bigint): string {
  const digits = unit.toString().length - 1;
  const rest = (value % unit).toString().padStart(digits, '0').replace(/0+$/, '');
  return rest === '' ? `${value / unit}` : `${value / unit}.${rest}`;
}
