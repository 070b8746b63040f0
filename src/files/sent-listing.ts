/** What a sender lists: one tree, or several as one, in the order of the protocol. */
import { fromByteString, toByteString } from '../archive/index.ts';
import type { ByteString } from '../archive/index.ts';
import { BuildError, Code, nowNs } from '../base/index.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';
import { dropNested, followPaths } from './follow-paths.ts';
import { isDir, isSymlink } from './go-mode.ts';
import { comparePaths, joinPath } from './path-order.ts';
import { GoMode } from './types.ts';
import type { SendOptions, SentTree } from './types.ts';
import { walkOver } from './walk-over.ts';

export interface Listed {
  readonly stat: Stat;
  /** In the tree, without prefix. */
  readonly path: ByteString;
  /** The tree that has it. */
  readonly root: string;
}

export type ListingOptions = Pick<SendOptions, 'includePatterns' | 'excludePatterns' | 'followPaths' | 'resetOwner'>;

/** The listing as it goes on the wire: below the prefix, owners and times as asked for, links to what the filter has left. */
function* listTree(tree: SentTree, options: ListingOptions): Generator<Listed, void, void> {
  let includePatterns = options.includePatterns;
  if (options.followPaths !== undefined && options.followPaths.length > 0) {
    const followed = followPaths(tree.root, options.followPaths);
    if (followed !== undefined) {
      // Only neighbours are compared, as upstream does: the order means something when there are exclusions.
      includePatterns = dropNested([...(includePatterns ?? []), ...followed]) ?? [];
    }
  }
  const prefix = toByteString(tree.prefix ?? '').replace(/^\/+|\/+$/g, '');
  const shape = (stat: Stat): Stat => {
    if (options.resetOwner === true) stat.uid = stat.gid = 0;
    if (tree.mtimeNs !== undefined) stat.modTime = tree.mtimeNs;
    return stat;
  };
  let folder = '';
  for (const name of prefix.split('/').filter((n) => n !== '')) {
    folder = joinPath(folder, name);
    yield { stat: shape(folderStat(folder)), path: '', root: tree.root };
  }
  /** First name in the tree to the name that stands for it in the listing: a filter may have left the first one out. */
  const firstNames = new Map<ByteString, ByteString>();
  const patterns = { includePatterns, excludePatterns: options.excludePatterns };
  for (const { stat, root } of walkOver(tree.root, tree.over, patterns)) {
    const { path } = stat;
    if (!isDir(stat.mode) && !isSymlink(stat.mode)) {
      const first = stat.linkname === '' ? path : firstNames.get(stat.linkname);
      if (first === undefined) {
        firstNames.set(stat.linkname, path);
        stat.linkname = '';
      } else if (stat.linkname === '') firstNames.set(path, path);
      else stat.linkname = joinPath(prefix, first);
    } else if (prefix !== '' && stat.linkname.startsWith('/')) stat.linkname = `/${prefix}${stat.linkname}`;
    stat.path = joinPath(prefix, path);
    yield { stat: shape(stat), path, root };
  }
}

function folderStat(path: ByteString): Stat {
  return {
    path,
    mode: (GoMode.Dir | 0o755) >>> 0,
    uid: 0,
    gid: 0,
    size: 0n,
    modTime: nowNs(),
    linkname: '',
    devmajor: 0n,
    devminor: 0n,
    xattrs: new Map(),
  };
}

/** Folders that several trees have are those of the first; another path may be in one of them only. */
export function* listTrees(trees: readonly SentTree[], options: ListingOptions): Generator<Listed, void, void> {
  const open = trees.map((tree) => listTree(tree, options));
  try {
    const heads = open.map((listing) => listing.next().value ?? undefined);
    for (;;) {
      let first: Listed | undefined;
      for (const head of heads) {
        if (head === undefined) continue;
        if (first === undefined || comparePaths(head.stat.path, first.stat.path) < 0) first = head;
      }
      if (first === undefined) return;
      const path = first.stat.path;
      for (const [i, head] of heads.entries()) {
        if (head === undefined || head.stat.path !== path) continue;
        if (head !== first && !(isDir(head.stat.mode) && isDir(first.stat.mode))) {
          throw new BuildError(Code.Unknown, `cannot send ${fromByteString(path)}: several trees have it`);
        }
        heads[i] = open[i].next().value ?? undefined;
      }
      yield first;
    }
  } finally {
    for (const listing of open) listing.return();
  }
}
