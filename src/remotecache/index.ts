/**
 * Caches that travel. In: results with their keys; entries of `--export-cache` and `--import-cache`. Out: cache configs
 * inside of images, in registries and in directories of clients; such configs as caches to look into. Deliberately
 * absent: how keys are looked up (solver/), how layers are made (storage/), when a build exports (build/).
 */
export { compressionOfAttrs } from './attrs.ts';
export type { CacheEntry } from './attrs.ts';
export { createLazyCache } from './imported-cache.ts';
export type { ResultMaker } from './imported-cache.ts';
export { inlineCacheOf } from './inline.ts';
export { resolveExports } from './resolve-exports.ts';
export type { ResolvedExports } from './resolve-exports.ts';
export { resolveImporter } from './resolve-imports.ts';
export type { CacheImporter } from './resolve-imports.ts';
export type { CacheContext, CacheExporter, RemoteCacheDeps } from './types.ts';
