import { chmodSync, fchmodSync, fchownSync, lchownSync, readFileSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { fromByteString, fsPath, TarType, XATTR_RECORD } from '../../archive/index.ts';
import type { ByteString, TarHeader } from '../../archive/index.ts';
import { isKeptRecords } from '../../archive/windows/index.ts';
import { wrapError } from '../../base/index.ts';
import { getXattr, listXattrs, setTimes, setXattr } from '../../host/index.ts';
import { lstatEntry } from '../tree/index.ts';

const MAX_TIME = (1n << 63n) - 1n;

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** Times that a file cannot have are 1970 (containerd). */
function bounded(ns: bigint): bigint {
  return ns < 0n || ns > MAX_TIME ? 0n : ns;
}

export function setEntryTimes(path: ByteString, header: Pick<TarHeader, 'mtimeNs' | 'atimeNs'>): void {
  const atime = header.atimeNs ?? 0n;
  const mtime = header.mtimeNs;
  setTimes(fsPath(path), bounded(atime > mtime ? atime : mtime), bounded(mtime));
}

/** By `fd` where the file is open. Mode bits go with a change of owner, so that comes first. */
export function setOwner(path: ByteString, fd: number | undefined, uid: number, gid: number): void {
  try {
    if (fd === undefined) lchownSync(fsPath(path), uid, gid);
    else fchownSync(fd, uid, gid);
  } catch (error) {
    const hint =
      codeOf(error) === 'EINVAL' && inUserNamespace()
        ? ' (Hint: try increasing the number of subordinate IDs in /etc/subuid and /etc/subgid)'
        : '';
    throw wrapError(error, `failed to Lchown "${fromByteString(path)}" for UID ${uid}, GID ${gid}${hint}`);
  }
}

export function setMode(path: ByteString, fd: number | undefined, mode: number): void {
  if (fd === undefined) chmodSync(fsPath(path), mode);
  else fchmodSync(fd, mode);
}

/** Names that mean something to an overlay or to this daemon are never taken from an archive, nor any of `trusted.`. */
function isForbidden(name: string): boolean {
  return name.startsWith('trusted.') || name.startsWith('user.overlay.') || isKeptRecords(name);
}

/** `bestEffort`: what cannot be set is left out. Else so is only what this kind of file or file system cannot have. */
export function setXattrs(path: ByteString, header: TarHeader, bestEffort: boolean): void {
  if (header.pax === undefined) return;
  for (const [key, value] of header.pax) {
    if (!key.startsWith(XATTR_RECORD)) continue;
    const name = Buffer.from(key.slice(XATTR_RECORD.length), 'latin1').toString('utf8');
    if (isForbidden(name)) continue;
    try {
      setXattr(fsPath(path), name, Buffer.from(value, 'latin1'));
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ENOTSUP' || code === 'EOPNOTSUPP') continue;
      if (code === 'EPERM' && (bestEffort || (name.startsWith('user.') && !takesUserXattrs(header.type)))) continue;
      throw wrapError(error, `failed to setxattr "${fromByteString(path)}" for key "${name}"`);
    }
  }
}

function takesUserXattrs(type: string): boolean {
  return type === TarType.File || type === TarType.Dir || type === TarType.Contiguous || type === TarType.GnuSparse;
}

/** Owner, mode and attributes of a folder of the layers below, for one that a layer implies. Times follow at the end. */
export function copyFolderAttributes(from: ByteString, stat: BigIntStats, to: ByteString, owner: boolean): void {
  if (owner) lchownSync(fsPath(to), Number(stat.uid), Number(stat.gid));
  for (const name of listXattrs(fsPath(from))) {
    if (isForbidden(name) && !isKeptRecords(name)) continue;
    const value = getXattr(fsPath(from), name);
    if (value === undefined) continue;
    try {
      setXattr(fsPath(to), name, value);
    } catch (error) {
      if (codeOf(error) !== 'ENOTSUP' && codeOf(error) !== 'EOPNOTSUPP') throw error;
    }
  }
  chmodSync(fsPath(to), Number(stat.mode & 0o7777n));
}

export function isFolder(path: ByteString): boolean {
  return lstatEntry(path)?.isDirectory() === true;
}

let userNamespace: boolean | undefined;

/** The first namespace maps all ids to themselves. */
export function inUserNamespace(): boolean {
  if (userNamespace === undefined) {
    try {
      const fields = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
      userNamespace = fields.join(' ') !== '0 0 4294967295';
    } catch {
      userNamespace = false;
    }
  }
  return userNamespace;
}
