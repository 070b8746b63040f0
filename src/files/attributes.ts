/** Attributes that node:fs has no calls for, with the rules of a transfer. Paths are byte strings. */
import type { BigIntStats } from 'node:fs';
import { fsPath } from '../archive/index.ts';
import type { ByteString } from '../archive/index.ts';
import { isKeptRecords, KEPT_RECORDS } from '../archive/windows/index.ts';
import { getXattr, listXattrs, mknod, removeXattr, setTimes, setXattr } from '../host/index.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';
import { unixMode } from './go-mode.ts';
import { GoMode } from './types.ts';

const S_IFIFO = 0o010000;
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;

/** What a name of an attribute may mean to the overlay that the tree becomes a layer of: never taken from outside. */
const OVERLAY = /^(?:trusted|user)\.overlay\./;

export function isOverlayXattr(name: string): boolean {
  return OVERLAY.test(name);
}

function isWithoutXattrs(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOTSUP' || code === 'EOPNOTSUP' || code === 'ENODATA' || code === 'ENOSYS';
}

/** Without Apple's, and without what this daemon notes; empty where the file system has none. */
export function readXattrs(path: ByteString): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  try {
    for (const name of listXattrs(fsPath(path))) {
      if (name.startsWith('com.apple.') || isKeptRecords(name)) continue;
      const value = getXattr(fsPath(path), name);
      if (value !== undefined) found.set(name, value);
    }
  } catch (error) {
    if (!isWithoutXattrs(error)) throw error;
  }
  return found;
}

/** As far as the file system and our rights allow: whoever needs an attribute that cannot be set will say so. */
export function writeXattrs(path: ByteString, xattrs: ReadonlyMap<string, Uint8Array>): void {
  for (const [name, value] of xattrs) {
    if (isOverlayXattr(name) || isKeptRecords(name)) continue;
    try {
      setXattr(fsPath(path), name, value);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EIO') throw error;
    }
  }
}

/** What the layers of Windows images say of a file (archive/windows); a folder that is there already may have older ones. */
export function copyKeptRecords(source: ByteString, target: ByteString): void {
  for (const name of KEPT_RECORDS) {
    const value = getXattr(fsPath(source), name);
    try {
      if (value !== undefined) setXattr(fsPath(target), name, value);
      else removeXattr(fsPath(target), name);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // File systems and user namespaces that do not have them had none to begin with, links in the latter excepted.
      if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP') throw error;
    }
  }
}

/** Of the entry itself, links included. */
export function setMtime(path: ByteString, mtimeNs: bigint): void {
  setTimes(fsPath(path), mtimeNs, mtimeNs);
}

export function makeNode(path: ByteString, stat: Stat): void {
  const { mode } = stat;
  const type = (mode & GoMode.CharDevice) !== 0 ? S_IFCHR : (mode & GoMode.NamedPipe) !== 0 ? S_IFIFO : S_IFBLK;
  mknod(fsPath(path), type | unixMode(mode), Number(stat.devmajor), Number(stat.devminor));
}

/** The times of `stats`, or `instead` for both. */
export function setTimesOf(path: ByteString, stats: BigIntStats, instead: bigint | undefined): void {
  setTimes(fsPath(path), instead ?? stats.atimeNs, instead ?? stats.mtimeNs);
}

/** A device or fifo as `stats` has it. */
export function copyNode(path: ByteString, stats: BigIntStats): void {
  const { rdev } = stats;
  const major = Number((rdev >> 8n) & 0xfffn);
  const minor = Number((rdev & 0xffn) | ((rdev >> 12n) & 0xfff00n));
  mknod(fsPath(path), Number(stats.mode), major, minor);
}
