import { BuildError, Code, invalidArgument } from '../base/index.ts';

/** What an archive may ask for. Beyond it reading ends with ResourceExhausted. */
export interface ArchiveLimits {
  readonly maxEntries: number;
  /** Folders below each other in one name. */
  readonly maxDepth: number;
  /** Bytes of data in all entries together, holes of sparse files not counted. */
  readonly maxTotalBytes: number;
  /** Length of one file, holes included. */
  readonly maxFileBytes: number;
  /** Bytes out of a decompressor for each byte in, looked at once {@link RATIO_FROM} bytes have come out. */
  readonly maxRatio: number;
}

/** Below this no compression ratio is suspicious: images of empty disks are honest layers. */
export const RATIO_FROM = 4 * 1024 ** 3;

export const DEFAULT_LIMITS: ArchiveLimits = {
  maxEntries: 4_000_000,
  maxDepth: 512,
  maxTotalBytes: 1024 ** 4,
  maxFileBytes: 16 * 1024 ** 4,
  maxRatio: 500,
};

export function limitExceeded(what: string, limit: number): BuildError {
  return new BuildError(Code.ResourceExhausted, `archive exceeds the limit of ${limit} ${what}`);
}

/** A tar that breaks its format. The text is that of Go's archive/tar, with what was wrong. */
export function invalidTar(what: string): BuildError {
  return invalidArgument(`archive/tar: invalid tar header: ${what}`);
}
