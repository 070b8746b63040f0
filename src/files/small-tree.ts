/** Whether a tree is so small that sending it takes no longer than starting a thread for it. */
import { lstatSync, opendirSync } from 'node:fs';
import { hasWildcards } from './glob.ts';

export interface TreeSize {
  readonly entries: number;
  readonly bytes: number;
}

/** What a thread that answers others may send: less than it takes to start one for it. */
export const FEW: TreeSize = { entries: 64, bytes: 1 << 20 };

/** Folders are read in pieces, of which the first tells. */
const BATCH = 64;

/** At most `limit` names. */
function namesIn(directory: string, limit: number): string[] {
  const names: string[] = [];
  const dir = opendirSync(directory, { bufferSize: BATCH });
  try {
    for (let entry = dir.readSync(); entry !== null && names.length < limit; entry = dir.readSync()) {
      names.push(entry.name);
    }
  } finally {
    dir.closeSync();
  }
  return names;
}

/**
 * Of the whole tree, or of the paths that are followed in it. Looks at no more than it takes to say no; what cannot be looked at
 * is not small, so that whoever walks the tree says why.
 */
export function isSmallTree(root: string, followPaths: readonly string[], limit = FEW): boolean {
  const named = followPaths.length > 0 && followPaths.length <= limit.entries && !followPaths.some(hasWildcards);
  const pending = named ? [...followPaths] : ['.'];
  let entries = 0;
  let bytes = 0;
  try {
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      const stats = lstatSync(`${root}/${path}`, { throwIfNoEntry: false });
      if (stats === undefined) continue;
      // What a followed link leads to may be anything.
      if (++entries > limit.entries || (named && stats.isSymbolicLink())) return false;
      if (stats.isFile()) bytes += stats.size;
      if (bytes > limit.bytes) return false;
      if (stats.isDirectory()) {
        for (const name of namesIn(`${root}/${path}`, limit.entries + 1)) pending.push(`${path}/${name}`);
      }
      if (entries + pending.length > limit.entries) return false;
    }
  } catch {
    return false;
  }
  return true;
}
