/**
 * Caches that travel. In: results with their keys. Out: cache configs inside of images. Deliberately absent: how keys are
 * looked up (solver/), how layers are made (storage/), when a build exports (build/).
 */
export { inlineCacheOf } from './inline.ts';
