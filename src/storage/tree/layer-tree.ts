import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { fsPath, toByteString } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import type { TreeSpelling } from '../../archive/windows/index.ts';
import { BuildError, Code } from '../../base/index.ts';
import { getXattr } from '../../host/index.ts';
import type { LayerDirs } from './layers.ts';

/** One folder of the merged tree: the directories that it is made of, topmost first. */
export interface TreeFolder {
  readonly dirs: readonly ByteString[];
}

/** What a stack of layers shows at one place. `real` is the file itself, for a folder the topmost one. */
export interface TreeEntry {
  readonly stat: BigIntStats;
  readonly real: ByteString;
  /** Of a folder only. */
  readonly folder: TreeFolder | undefined;
}

/** Linux' and Go's limit alike. */
const MAX_LINKS = 255;
const OPAQUE = ['trusted.overlay.opaque', 'user.overlay.opaque'];

/** Overlay's mark of a deleted name. */
export function isWhiteout(stat: BigIntStats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0n;
}

export function isOpaque(dir: ByteString): boolean {
  return OPAQUE.some((name) => {
    const value = readXattr(dir, name);
    return value !== undefined && value.length === 1 && value[0] === 0x79;
  });
}

/** undefined where there is none, or the file system knows no such attributes. */
export function readXattr(path: ByteString, name: string): Uint8Array | undefined {
  try {
    return getXattr(fsPath(path), name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENODATA' || code === 'ENOTSUP' || code === 'EOPNOTSUPP') return undefined;
    throw error;
  }
}

export function lstatEntry(path: ByteString): BigIntStats | undefined {
  try {
    return lstatSync(fsPath(path), { bigint: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/**
 * The merged view of a stack. Every component is looked at with lstat(2) below folders that were seen before, so that no link
 * in a layer leads out of it; layers do not change while they are read. Paths are byte strings without a leading slash.
 * Synchronous: for worker threads.
 */
export class LayerTree {
  readonly root: TreeFolder;
  readonly #overlay: boolean;

  /** A stack of one is a plain directory, in which character devices 0/0 are what they are, unless `overlay` says otherwise. */
  constructor(dirs: LayerDirs, overlay: boolean = dirs.length > 1) {
    this.root = { dirs: dirs.map(toByteString) };
    this.#overlay = overlay;
  }

  /** Of the root folder; undefined for a stack of none. */
  rootEntry(): TreeEntry | undefined {
    const real = this.root.dirs[0];
    const stat = real === undefined ? undefined : lstatEntry(`${real}/.`);
    return stat === undefined ? undefined : { stat, real: real as ByteString, folder: this.root };
  }

  /** Names in byte order. Some may turn out to be deleted: {@link find} tells. */
  names(folder: TreeFolder): ByteString[] {
    const [first, ...others] = folder.dirs;
    if (first === undefined) return [];
    const names = readdirSync(fsPath(first), { encoding: 'latin1' });
    if (others.length === 0) return names.sort();
    const all = new Set(names);
    for (const dir of others) for (const name of readdirSync(fsPath(dir), { encoding: 'latin1' })) all.add(name);
    return [...all].sort();
  }

  find(folder: TreeFolder, name: ByteString): TreeEntry | undefined {
    let top: { stat: BigIntStats; real: ByteString } | undefined;
    const dirs: ByteString[] = [];
    for (let i = 0; i < folder.dirs.length; i++) {
      const real = `${folder.dirs[i]}/${name}`;
      const stat = lstatEntry(real);
      if (stat === undefined) continue;
      if (this.#overlay && isWhiteout(stat)) break;
      if (!stat.isDirectory()) {
        if (top !== undefined) break;
        return { stat, real, folder: undefined };
      }
      top ??= { stat, real };
      dirs.push(real);
      if (i < folder.dirs.length - 1 && isOpaque(real)) break;
    }
    return top === undefined ? undefined : { ...top, folder: { dirs } };
  }

  /** By name alone: a link on the way is not a folder. '' is the root. */
  lookup(path: ByteString): TreeEntry | undefined {
    let entry = this.rootEntry();
    if (path === '') return entry;
    for (const part of path.split('/')) {
      if (entry?.folder === undefined) return undefined;
      entry = this.find(entry.folder, part);
    }
    return entry;
  }

  /**
   * Follows links as a process would whose root this is; what is not there is taken by its name. The result is the path
   * without links in it. `spelling`: names are those of the tree as Windows takes them. Throws "too many links".
   */
  resolve(
    path: ByteString,
    followLast: boolean,
    spelling?: TreeSpelling,
  ): { path: ByteString; entry: TreeEntry | undefined } {
    let parts: ByteString[] = [];
    let rest = path.split('/');
    let links = 0;
    while (rest.length > 0) {
      const [part, ...others] = rest as [ByteString, ...ByteString[]];
      rest = others;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        parts.pop();
        continue;
      }
      const at = spelling?.nameIn(parts.join('/'), part) ?? [...parts, part].join('/');
      const entry = this.lookup(at);
      const last = rest.every((p) => p === '' || p === '.');
      if (entry?.stat.isSymbolicLink() !== true || (last && !followLast)) {
        parts = at.split('/');
        continue;
      }
      if (++links > MAX_LINKS) throw new BuildError(Code.Unknown, 'too many links');
      const target = readlinkSync(fsPath(entry.real), 'latin1');
      if (target.startsWith('/')) parts = [];
      rest = [...target.split('/'), ...rest];
    }
    const resolved = parts.join('/');
    return { path: resolved, entry: this.lookup(resolved) };
  }
}
