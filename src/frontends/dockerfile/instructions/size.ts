/** Sizes and durations as people write them. */

const UNITS = 'bkmgtp';

/** docker/go-units RAMInBytes: a number and a binary unit. Undefined when it is none. */
export function parseSize(text: string): bigint | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])i?b?|b)?$/i.exec(text);
  if (match === null) return undefined;
  const power = match[2] === undefined ? 0 : UNITS.indexOf(match[2].toLowerCase());
  const size = Number(match[1]) * 1024 ** power;
  return size < 2 ** 63 ? BigInt(Math.trunc(size)) : undefined;
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

/** Go's time.ParseDuration in nanoseconds; undefined when it is none. */
export function parseDuration(text: string): bigint | undefined {
  const match = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(text);
  if (match === null) return /^[+-]?0$/.test(text) ? 0n : undefined;
  let total = 0n;
  for (const [, whole, fraction, unit] of match[2].matchAll(/(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g)) {
    const scale = NANOSECONDS[unit];
    total += BigInt(whole || '0') * BigInt(scale);
    total += BigInt(Math.trunc(Number(`0.${fraction || '0'}`) * scale));
  }
  if (total >= 2n ** 63n) return undefined;
  return match[1] === '-' ? -total : total;
}

/** Go's time.Duration.String. */
export function formatDuration(nanoseconds: bigint): string {
  if (nanoseconds === 0n) return '0s';
  if (nanoseconds < 0n) return `-${formatDuration(-nanoseconds)}`;
  const scaled = (unit: bigint): string => {
    const rest = (nanoseconds % unit)
      .toString()
      .padStart(unit.toString().length - 1, '0')
      .replace(/0+$/, '');
    return rest === '' || unit === 1n ? `${nanoseconds / unit}` : `${nanoseconds / unit}.${rest}`;
  };
  if (nanoseconds < 1_000n) return `${nanoseconds}ns`;
  if (nanoseconds < 1_000_000n) return `${scaled(1_000n)}µs`;
  if (nanoseconds < 1_000_000_000n) return `${scaled(1_000_000n)}ms`;
  const seconds = nanoseconds / 1_000_000_000n;
  const fraction = (nanoseconds % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  const tail = `${seconds % 60n}${fraction === '' ? '' : `.${fraction}`}s`;
  if (seconds < 60n) return tail;
  if (seconds < 3600n) return `${seconds / 60n}m${tail}`;
  return `${seconds / 3600n}h${(seconds / 60n) % 60n}m${tail}`;
}
