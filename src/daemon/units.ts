/** Sizes and durations as buildkitd.toml and the flags write them. */
import { invalidArgument, parseDuration, parseSize } from '../base/index.ts';
import type { DiskSpace } from '../workers/index.ts';

/** `10%`, a number of bytes, or a size in binary units (`512MB` = 512·2²⁰). */
export function parseDiskSpace(text: string): DiskSpace {
  const percent = /^(\d+)%$/.exec(text);
  if (percent !== null) return { percentage: Number(percent[1]) };
  const size = parseSize(text);
  if (size === undefined) throw invalidArgument(`invalid disk space ${text}`);
  return { bytes: Number(size) };
}

/** A Go duration (`1h30m`, `250ms`) or a bare number of seconds; nanoseconds. */
export function parseDurationNs(text: string): bigint {
  const duration = /^-?\d{1,9}$/.test(text) ? BigInt(text) * 1_000_000_000n : parseDuration(text);
  if (duration === undefined) throw invalidArgument(`invalid duration ${text}`);
  return duration;
}
