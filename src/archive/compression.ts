/** Compressed streams, found by their first bytes. */
export type ArchiveCompression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

/** Bytes that {@link detectCompression} wants to see. */
export const MAGIC_LENGTH = 10;

/** By the magic numbers alone: RFC 1952, RFC 8878 (with skippable frames), bzip2, xz. `none` is anything else. */
export function detectCompression(head: Uint8Array): ArchiveCompression {
  const starts = (...magic: number[]): boolean => magic.every((byte, i) => head[i] === byte);
  if (starts(0x1f, 0x8b, 0x08)) return 'gzip';
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (
    head.length >= 4 &&
    ((head[0] as number) & 0xf0) === 0x50 &&
    head[1] === 0x2a &&
    head[2] === 0x4d &&
    head[3] === 0x18
  )
    return 'zstd';
  if (starts(0x42, 0x5a, 0x68)) return 'bzip2';
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)) return 'xz';
  return 'none';
}
