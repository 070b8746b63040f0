import { lstatSync, readlinkSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { fromByteString, fsPath, toByteString } from '../archive/index.ts';
import type { ByteString } from '../archive/index.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';
import { goMode, isDir, isSymlink } from './go-mode.ts';
import { GoMode } from './types.ts';
import { readXattrs } from './attributes.ts';

/** Inode to the first path it was seen under: what tells later names of a file that they are links. */
export type SeenInodes = Map<string, string>;

export interface StatOptions {
  readonly seen?: SeenInodes;
  readonly xattrs?: boolean;
}

/**
 * The wire's view of what `fullPath` is, under the name `path` (both byte strings, as is `linkname`). Later names of a file in
 * `seen` have that path as `linkname` (and keep their size); sockets lose their type (fsutil/stat.go).
 */
export function makeStat(fullPath: ByteString, path: ByteString, stats: BigIntStats, options: StatOptions = {}): Stat {
  const { seen } = options;
  const mode = goMode(Number(stats.mode));
  const stat: Stat = {
    path,
    mode: (mode & ~GoMode.Socket) >>> 0,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    size: 0n,
    modTime: stats.mtimeNs,
    linkname: '',
    devmajor: 0n,
    devminor: 0n,
    xattrs: options.xattrs === false ? new Map() : readXattrs(fullPath),
  };
  if (isDir(mode)) return stat;
  stat.size = stats.size;
  if ((mode & GoMode.Device) !== 0) {
    stat.devmajor = (stats.rdev >> 8n) & 0xfffn;
    stat.devminor = (stats.rdev & 0xffn) | ((stats.rdev >> 12n) & 0xfff00n);
  }
  if (isSymlink(mode)) stat.linkname = readlinkSync(fsPath(fullPath), 'latin1');
  else if (seen !== undefined && stats.nlink > 1n) {
    const inode = `${stats.dev}:${stats.ino}`;
    const first = seen.get(inode);
    if (first === undefined) seen.set(inode, path);
    else stat.linkname = first;
  }
  return stat;
}

/** With text in place of byte strings: what leaves the folder. */
export function toText(stat: Stat): Stat {
  return { ...stat, path: fromByteString(stat.path), linkname: fromByteString(stat.linkname) };
}

/** The stat of `name` in a folder (of the folder itself for ''), under the path `name`. Links are not followed. */
export function statEntry(folder: string, name: string): Stat {
  const full = toByteString(name === '' ? folder : `${folder}/${name}`);
  const stats = lstatSync(fsPath(full), { bigint: true });
  return toText(makeStat(full, toByteString(name), stats));
}
