/**
 * Archives as bytes: tar entries, compressed streams, and the tar-sum header that content digests begin with. In come and out
 * go Uint8Arrays; deliberately absent: files, processes and threads (storage/ and files/ bring those).
 */
export { contentHashHeader, tarSumHeader } from './tarsum.ts';
export type { TarSumEntry } from './tarsum.ts';
export { DEFAULT_LIMITS } from './limits.ts';
export type { ArchiveLimits } from './limits.ts';
