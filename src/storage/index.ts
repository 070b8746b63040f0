/**
 * Snapshots, the refs that hold them, layers as blobs, content digests, garbage collection. In comes a folder and the
 * kernel's mounts, out goes one {@link Storage}. Deliberately absent: builds, sources, who needs what.
 */
export { openStorage } from './storage.ts';
export type { OpenStorageOptions, Storage } from './storage.ts';
export { mountLocally } from './local-mount.ts';
export type { LocalMount } from './local-mount.ts';
export type { ImageStore, StoredImage } from './images.ts';
export type { StorageKernel } from './kernel.ts';
export { parseFilters } from './refs/index.ts';
export type { Filter, FilterFields } from './refs/index.ts';
export { packDirectories } from './apply/index.ts';
export type { PackEntry, PackOptions } from './apply/index.ts';
export { rewriteTimestamps } from './diff/index.ts';
export type { TreeHasher } from './contenthash/index.ts';
export type * from './types.ts';
