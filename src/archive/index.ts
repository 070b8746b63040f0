/**
 * Archives as bytes: tar entries, compressed streams, and the tar-sum header that content digests begin with. In come and out
 * go Uint8Arrays; names are byte strings. Deliberately absent: files, processes and threads (storage/ and files/ bring those).
 */
export { contentHashHeader, tarSumHeader } from './tarsum.ts';
export type { TarSumEntry } from './tarsum.ts';
export { fromByteString, fsPath, isAscii, toByteString } from './byte-string.ts';
export type { ByteString } from './byte-string.ts';
export { DEFAULT_LIMITS, limitExceeded } from './limits.ts';
export type { ArchiveLimits } from './limits.ts';
export { isHeaderOnly, TarType, XATTR_RECORD } from './tar-header.ts';
export type { SparseMap, TarFormat, TarHeader } from './tar-header.ts';
export { TarReader } from './tar-reader.ts';
export type { TarSink } from './tar-reader.ts';
export { encodeTarHeader, TAR_TRAILER, tarDataSize, tarPadding } from './tar-writer.ts';
export { detectCompression, MAGIC_LENGTH } from './compression.ts';
export type { ArchiveCompression } from './compression.ts';
export { decompress, peek } from './decompress.ts';
export type { DecompressOptions } from './decompress.ts';
export { DEFAULT_GZIP_LEVEL, GzipWriter } from './gzip-writer.ts';
export type { ByteSink, CompressedWriter } from './gzip-writer.ts';
export { DEFAULT_ZSTD_LEVEL, ZstdWriter } from './zstd-writer.ts';
