import { chmodSync, lchownSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { fromByteString, fsPath } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { setMtime } from '../attributes.ts';
import { pathError } from '../path-error.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface MadeDirOptions {
  readonly mode: number;
  readonly owner: Owner | undefined;
  readonly timestampNs: bigint | undefined;
}

/**
 * Makes `path`, which is resolved, and what is missing above it (not above `root`). Gives what it made, outermost first; folders
 * that exist stay as they are.
 */
export function makeDirs(root: ByteString, path: ByteString, options: MadeDirOptions): ByteString[] {
  const missing: ByteString[] = [];
  let at = path;
  while (at.length > root.length) {
    const stats = statSync(fsPath(at), { throwIfNoEntry: false });
    if (stats !== undefined) {
      if (!stats.isDirectory()) throw pathError({ code: 'ENOTDIR' }, 'mkdir', shown(root, at));
      break;
    }
    missing.unshift(at);
    at = at.slice(0, at.lastIndexOf('/'));
  }
  for (const dir of missing) {
    try {
      makeDir(dir, options);
    } catch (error) {
      if (lstatSync(fsPath(dir), { throwIfNoEntry: false })?.isDirectory() === true) continue;
      throw pathError(error, 'mkdir', shown(root, dir));
    }
  }
  return missing;
}

export function makeDir(path: ByteString, { mode, owner, timestampNs }: MadeDirOptions): void {
  mkdirSync(fsPath(path), mode & 0o777);
  // The umask has taken its share.
  chmodSync(fsPath(path), mode & 0o777);
  if (owner !== undefined) lchownSync(fsPath(path), owner.uid, owner.gid);
  if (timestampNs !== undefined) setMtime(path, timestampNs);
}

/** As the build knows it. */
export function shown(root: ByteString, path: ByteString): string {
  return fromByteString(path.startsWith(root) ? path.slice(root.length) || '/' : path);
}
