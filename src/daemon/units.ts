/** Sizes and durations as buildkitd.toml and the flags write them. */
import { invalidArgument } from '../base/index.ts';

export type DiskSpace = { readonly bytes: number } | { readonly percent: number };

const BINARY_UNITS: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/** `10%`, a number of bytes, or a size in binary units (`512MB` = 512·2²⁰, as Docker's RAMInBytes reads it). */
export function parseDiskSpace(text: string): DiskSpace {
  const percent = /^(\d+)%$/.exec(text);
  if (percent !== null) return { percent: Number(percent[1]) };
  const size = /^(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?$/i.exec(text);
  if (size === null) throw invalidArgument(`invalid disk space ${text}`);
  return { bytes: Math.floor(Number(size[1]) * 1024 ** BINARY_UNITS[size[2].toLowerCase()]) };
}

const DEFAULT_CAP = 2e9;

/** Percentages are of `totalBytes` of the disk, rounded up to whole GB (upstream's AsBytes); 0 total: 2 GB. */
export function diskSpaceBytes(space: DiskSpace | undefined, totalBytes: number): number {
  if (space === undefined) return 0;
  if ('bytes' in space) return space.bytes;
  if (space.percent === 0) return 0;
  if (totalBytes === 0) return DEFAULT_CAP;
  return (Math.floor((totalBytes * space.percent) / 100 / 2 ** 30) + 1) * 1e9;
}

/** Bytes in decimal units, as `buildctl du` shows them. */
export function formatSpace(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(5, Math.floor(Math.log10(bytes) / 3));
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toFixed(1)} ${['B', 'kB', 'MB', 'GB', 'TB', 'PB'][power]}`;
}

const UNITS_NS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** A Go duration (`1h30m`, `250ms`) or a bare number of seconds; nanoseconds. */
export function parseDurationNs(text: string): bigint {
  if (/^-?\d+$/.test(text)) return BigInt(text) * 1_000_000_000n;
  const m = /^(-?)((?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+)$/.exec(text);
  if (m === null) throw invalidArgument(`invalid duration ${text}`);
  let total = 0;
  for (const [, n, unit] of m[2].matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g)) total += Number(n) * UNITS_NS[unit];
  return BigInt(Math.round(total)) * (m[1] === '-' ? -1n : 1n);
}
