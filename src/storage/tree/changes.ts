/**
 * What one tree changed on another, in the order of paths and fit to be applied in that order: a folder that is deleted or
 * becomes something else is one change, what was in it goes unmentioned.
 */
import { toByteString } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { BuildError, Code } from '../../base/index.ts';
import { sameEntry } from './compare.ts';
import { isOpaque, isWhiteout, LayerTree, lstatEntry, readXattr } from './layer-tree.ts';
import type { TreeEntry, TreeFolder } from './layer-tree.ts';
import { upperDirOf } from './layers.ts';
import type { LayerDirs } from './layers.ts';

export type LayerChange =
  | { readonly kind: 'delete'; readonly path: ByteString }
  /** `unmodified` is told of files with several names only: another name of theirs may be new. */
  | { readonly kind: 'add' | 'modify' | 'unmodified'; readonly path: ByteString; readonly entry: TreeEntry };

function join(folder: ByteString, name: ByteString): ByteString {
  return folder === '' ? name : `${folder}/${name}`;
}

function sameDirs(a: TreeFolder, b: TreeFolder): boolean {
  return a.dirs.length === b.dirs.length && a.dirs.every((dir, i) => dir === b.dirs[i]);
}

/** Reads only the topmost directory of `upper` where that is all there is to it. */
export function* layerChanges(lower: LayerDirs, upper: LayerDirs): Generator<LayerChange> {
  const below = new LayerTree(lower);
  const top = lower.length === 0 ? undefined : upperDirOf(lower, upper);
  if (top !== undefined) yield* upperChanges(below, new LayerTree([top], true), toByteString(top), '', below.root);
  else {
    const above = new LayerTree(upper);
    yield* folderChanges(below, below.root, above, above.root, '');
  }
}

function* added(tree: LayerTree, entry: TreeEntry, path: ByteString): Generator<LayerChange> {
  yield { kind: 'add', path, entry };
  if (entry.folder !== undefined) yield* allAdded(tree, entry.folder, path);
}

function* allAdded(tree: LayerTree, folder: TreeFolder, path: ByteString): Generator<LayerChange> {
  for (const name of tree.names(folder)) {
    const entry = tree.find(folder, name);
    if (entry !== undefined) yield* added(tree, entry, join(path, name));
  }
}

/** Walks both. */
function* folderChanges(
  lower: LayerTree,
  a: TreeFolder,
  upper: LayerTree,
  b: TreeFolder,
  path: ByteString,
): Generator<LayerChange> {
  if (sameDirs(a, b)) return;
  const names = [...new Set([...lower.names(a), ...upper.names(b)])].sort();
  for (const name of names) {
    const old = lower.find(a, name);
    const now = upper.find(b, name);
    const at = join(path, name);
    if (now === undefined) {
      if (old !== undefined) yield { kind: 'delete', path: at };
    } else if (old === undefined) yield* added(upper, now, at);
    else {
      const same = sameEntry(old, now);
      if (!same) yield { kind: 'modify', path: at, entry: now };
      else if (now.folder === undefined && now.stat.nlink > 1n) yield { kind: 'unmodified', path: at, entry: now };
      if (now.folder === undefined) continue;
      if (old.folder === undefined) yield* allAdded(upper, now.folder, at);
      else yield* folderChanges(lower, old.folder, upper, now.folder, at);
    }
  }
}

/** Walks the directory `dir` of the overlay's own one; `own` shows that alone, its deletions as nothing. `below` is the same folder in the layers beneath, undefined when there is none. */
function* upperChanges(
  lower: LayerTree,
  own: LayerTree,
  dir: ByteString,
  path: ByteString,
  below: TreeFolder | undefined,
): Generator<LayerChange> {
  for (const name of own.names({ dirs: [dir] })) {
    const real = `${dir}/${name}`;
    const at = join(path, name);
    const stat = lstatEntry(real);
    if (stat === undefined) continue;
    const old = below === undefined ? undefined : lower.find(below, name);
    if (isWhiteout(stat)) {
      if (old !== undefined) yield { kind: 'delete', path: at };
      continue;
    }
    const folder = stat.isDirectory() ? { dirs: [real] } : undefined;
    if (folder !== undefined && (readXattr(real, 'trusted.overlay.redirect')?.length ?? 0) > 0)
      throw new BuildError(Code.Unknown, "redirect_dir is used but it's not supported in overlayfs differ");
    const entry: TreeEntry = { stat, real, folder };
    if (old === undefined) yield { kind: 'add', path: at, entry };
    else if (!sameEntry(old, entry)) yield { kind: 'modify', path: at, entry };
    if (folder === undefined) continue;
    if (old?.folder !== undefined && isOpaque(real)) yield* folderChanges(lower, old.folder, own, folder, at);
    else yield* upperChanges(lower, own, real, at, old?.folder);
  }
}
