/**
 * Content digests of file trees, as cache keys need them: equal to upstream's cache/contenthash, so that caches are shared
 * with it. In come refs, paths and selectors (or the changes of a transfer), out go digests. Deliberately absent: mounts,
 * cache keys.
 */
import { FileTreeHasher } from './tree-hasher.ts';
import type { TreeHasher, TreeHasherOptions } from './types.ts';

export type { TreeHasher, TreeHasherOptions } from './types.ts';

export function createTreeHasher(options: TreeHasherOptions): TreeHasher {
  return new FileTreeHasher(options);
}
