/** Numbers of bytes as people write them (docker/go-units). */

const BINARY = 'bkmgtp';
const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];

/** RAMInBytes: a number and a binary unit (`512MB` = 512·2²⁰, `1.5k`, `10 GiB`); undefined when it is none. */
export function parseSize(text: string): bigint | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])i?b?|b)?$/i.exec(text);
  if (match === null) return undefined;
  const power = match[2] === undefined ? 0 : BINARY.indexOf(match[2].toLowerCase());
  const size = Number(match[1]) * 1024 ** power;
  return size < 2 ** 63 ? BigInt(Math.trunc(size)) : undefined;
}

function scale(bytes: bigint): { value: number; unit: string } {
  const size = bytes < 0n ? -bytes : bytes;
  let step = 0;
  let base = 1n;
  while (step < DECIMAL.length - 1 && size >= base * 1000n) {
    base *= 1000n;
    step++;
  }
  return { value: Number(bytes) / Number(base), unit: DECIMAL[step] };
}

/** `12B`, `1.23kB`, `5.00MB`: two decimals, except for plain bytes. */
export function formatBytes(bytes: bigint): string {
  const { value, unit } = scale(bytes);
  return unit === 'B' ? `${bytes}B` : `${value.toFixed(2)}${unit}`;
}

/** `1.2kB`: as many decimals as there are. */
export function formatBytesShort(bytes: bigint): string {
  const { value, unit } = scale(bytes);
  return `${value}${unit}`;
}
