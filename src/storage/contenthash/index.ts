/**
 * Content digests of file trees, as cache keys need them: equal to upstream's cache/contenthash, so that caches are shared
 * with it. In come refs, paths and selectors (or the changes of a transfer), out go digests. Deliberately absent: mounts,
 * cache keys.
 */
import type { TreeHasher, TreeHasherOptions } from './types.ts';

export type { TreeHasher, TreeHasherOptions } from './types.ts';

export function createTreeHasher(_options: TreeHasherOptions): TreeHasher {
  throw new Error('not yet');
}
