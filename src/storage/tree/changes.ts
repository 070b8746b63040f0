/**
 * What one tree changed on another, in the order of paths and fit to be applied in that order: a folder that is deleted or
 * becomes something else is one change, what was in it goes unmentioned.
 */
import { toByteString } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { foldName } from '../../archive/windows/index.ts';
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

export interface ChangeOptions {
  /** Names that differ by case alone are one, as Windows has it. */
  readonly foldsCase?: boolean;
}

/** Reads only the topmost directory of `upper` where that is all there is to it. */
export function* layerChanges(
  lower: LayerDirs,
  upper: LayerDirs,
  { foldsCase = false }: ChangeOptions = {},
): Generator<LayerChange> {
  const below = new LayerTree(lower);
  const top = lower.length === 0 ? undefined : upperDirOf(lower, upper);
  if (top !== undefined)
    yield* upperChanges(
      { lower: below, own: new LayerTree([top], true), foldsCase },
      toByteString(top),
      '',
      below.root,
    );
  else {
    const above = new LayerTree(upper);
    yield* folderChanges({ lower: below, own: above, foldsCase }, below.root, above.root, '');
  }
}

interface Sides {
  readonly lower: LayerTree;
  /** The upper one; where only its topmost directory is read, that alone. */
  readonly own: LayerTree;
  readonly foldsCase: boolean;
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

interface Pair {
  readonly name: ByteString;
  /** The name below, where it is another. */
  readonly oldName: ByteString;
}

/** The names of both, those that are one as a pair, in the order of the upper ones. */
function pairs({ lower, own, foldsCase }: Sides, a: TreeFolder, b: TreeFolder): Pair[] {
  const olds = lower.names(a);
  if (!foldsCase) return [...new Set([...olds, ...own.names(b)])].sort().map((name) => ({ name, oldName: name }));
  const found = new Map<string, Pair>();
  for (const name of olds) if (lower.find(a, name) !== undefined) found.set(foldName(name), { name, oldName: name });
  const all: Pair[] = [];
  for (const name of own.names(b)) {
    if (own.find(b, name) === undefined) continue;
    all.push({ name, oldName: found.get(foldName(name))?.oldName ?? name });
    found.delete(foldName(name));
  }
  return [...all, ...found.values()].sort((x, y) => (x.name < y.name ? -1 : 1));
}

/** Walks both. */
function* folderChanges(sides: Sides, a: TreeFolder, b: TreeFolder, path: ByteString): Generator<LayerChange> {
  if (sameDirs(a, b)) return;
  const { lower, own } = sides;
  for (const { name, oldName } of pairs(sides, a, b)) {
    const old = lower.find(a, oldName);
    const now = own.find(b, name);
    const at = join(path, name);
    if (now === undefined) {
      if (old !== undefined) yield { kind: 'delete', path: at };
    } else if (old === undefined) yield* added(own, now, at);
    else {
      const same = oldName === name && sameEntry(old, now, sides.foldsCase);
      if (!same) yield { kind: 'modify', path: at, entry: now };
      else if (now.folder === undefined && now.stat.nlink > 1n) yield { kind: 'unmodified', path: at, entry: now };
      if (now.folder === undefined) continue;
      if (old.folder === undefined) yield* allAdded(own, now.folder, at);
      else yield* folderChanges(sides, old.folder, now.folder, at);
    }
  }
}

/**
 * What was deleted and made again by another name that is the same one: the old names, by the new ones. The old one is the
 * name of a whiteout in the same directory.
 */
function renamed(
  { own, foldsCase }: Sides,
  dir: ByteString,
  names: readonly ByteString[],
): ReadonlyMap<ByteString, ByteString> {
  const found = new Map<ByteString, ByteString>();
  if (!foldsCase) return found;
  const foldedNames = names.map(foldName);
  // As most folders: no two names are one.
  if (new Set(foldedNames).size === names.length) return found;
  const folded = new Map<string, ByteString[]>();
  for (const [i, name] of names.entries()) {
    const key = foldedNames[i] as string;
    folded.set(key, [...(folded.get(key) ?? []), name]);
  }
  for (const same of folded.values()) {
    if (same.length < 2) continue;
    const now = same.find((name) => own.find({ dirs: [dir] }, name) !== undefined);
    const old = same.find((name) => name !== now);
    if (now !== undefined && old !== undefined) found.set(now, old);
  }
  return found;
}

/** Walks the directory `dir` of the overlay's own one, which shows its deletions as nothing. `below` is the same folder in the layers beneath, undefined when there is none. */
function* upperChanges(
  sides: Sides,
  dir: ByteString,
  path: ByteString,
  below: TreeFolder | undefined,
): Generator<LayerChange> {
  const { lower, own } = sides;
  const names = own.names({ dirs: [dir] });
  const oldNames = renamed(sides, dir, names);
  const gone = new Set(oldNames.values());
  for (const name of names) {
    const real = `${dir}/${name}`;
    const at = join(path, name);
    const stat = lstatEntry(real);
    if (stat === undefined) continue;
    const oldName = oldNames.get(name);
    const old = below === undefined ? undefined : lower.find(below, oldName ?? name);
    if (isWhiteout(stat)) {
      if (old !== undefined && !gone.has(name)) yield { kind: 'delete', path: at };
      continue;
    }
    const folder = stat.isDirectory() ? { dirs: [real] } : undefined;
    if (folder !== undefined && (readXattr(real, 'trusted.overlay.redirect')?.length ?? 0) > 0)
      throw new BuildError(Code.Unknown, "redirect_dir is used but it's not supported in overlayfs differ");
    const entry: TreeEntry = { stat, real, folder };
    if (old === undefined) yield { kind: 'add', path: at, entry };
    else if (oldName !== undefined || !sameEntry(old, entry, sides.foldsCase))
      yield { kind: 'modify', path: at, entry };
    if (folder === undefined) continue;
    const hidesOld = oldName !== undefined || isOpaque(real);
    if (old?.folder !== undefined && hidesOld) yield* folderChanges(sides, old.folder, folder, at);
    else yield* upperChanges(sides, real, at, old?.folder);
  }
}
