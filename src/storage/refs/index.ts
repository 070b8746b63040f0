/**
 * Records of snapshots and blobs, and the references that hold them. In come parents, blobs and merges, out go refs, mounts
 * and layers that can travel. Deliberately absent: how snapshots are kept, how layers are packed.
 */
export { openCache } from './cache.ts';
export type { Cache } from './cache.ts';
export type { CacheOptions } from './options.ts';
export { parseFilters } from './filter.ts';
export type { Filter, FilterFields } from './filter.ts';
export { MountSets, plainDirectory } from './mount-sets.ts';
