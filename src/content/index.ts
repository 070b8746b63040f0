/**
 * Content-addressed blobs: the daemon's store, and the directory form of the OCI image layout. In come streams or files
 * that threads wrote, out go readers, paths and facts. Deliberately absent: which blobs are still needed (storage/ knows).
 */
export { openContentStore } from './content-store.ts';
export type { DiskContentStore } from './content-store.ts';
export { openLayoutStore } from './layout-store.ts';
export { OCI_LAYOUT_VERSION, readLayoutIndex, writeLayoutIndex } from './oci-layout.ts';
export { bytesReader, fileReader, readBlob } from './blob-reader.ts';
export { restartingReader } from './restarting-reader.ts';
export type * from './types.ts';
