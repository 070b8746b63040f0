import type { Stat } from '../proto/fsutil_stat.pb.ts';
import { isDir } from './go-mode.ts';
import { comparePaths } from './path-order.ts';
import { walkTree } from './walk.ts';
import type { WalkOptions } from './walk.ts';

export interface PlacedEntry {
  readonly stat: Stat;
  /** The tree that has it. */
  readonly root: string;
}

/** One tree laid over another, in the order of a listing: where both have a path the upper one counts, folders become one. */
export function* walkOver(root: string, over: string | undefined, options: WalkOptions = {}): Generator<PlacedEntry> {
  const upper = over === undefined ? undefined : walkTree(over, { xattrs: options.xattrs });
  let next = upper?.next().value ?? undefined;
  try {
    for (const entry of walkTree(root, options)) {
      let hidden = false;
      while (next !== undefined && comparePaths(next.stat.path, entry.stat.path) <= 0) {
        if (next.stat.path === entry.stat.path) {
          hidden = true;
          if (!isDir(next.stat.mode)) entry.skip();
        }
        yield { stat: next.stat, root: over as string };
        next = upper?.next().value ?? undefined;
      }
      if (!hidden) yield { stat: entry.stat, root };
    }
    for (; next !== undefined; next = upper?.next().value ?? undefined) yield { stat: next.stat, root: over as string };
  } finally {
    upper?.return();
  }
}
