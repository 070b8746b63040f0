import { readlinkSync } from 'node:fs';
import { fsPath } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { BuildError, Code } from '../../base/index.ts';
import { lstatEntry } from '../tree/index.ts';

const MAX_LINKS = 255;

/** Go's filepath.Clean of an archive's name, taken below the root: '' is the root itself, nothing climbs above it. */
export function cleanName(name: ByteString): ByteString {
  const parts: ByteString[] = [];
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}

export function parentOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

export function baseOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}

/**
 * Where an archive's names are below a folder that nobody else writes to: links in it are followed as if it were the root, so
 * no name leads out of it. Paths are relative byte strings, '' is the folder itself.
 */
export class TargetPaths {
  readonly root: ByteString;
  /** Folders that were resolved, by the name they were asked for. Void once something was replaced. */
  #resolved = new Map<ByteString, ByteString>();

  constructor(root: ByteString) {
    this.root = root;
  }

  full(path: ByteString): ByteString {
    return path === '' ? this.root : `${this.root}/${path}`;
  }

  /** A link has come, or a folder has gone. */
  changed(): void {
    this.#resolved.clear();
  }

  /** The folder's path without links in it; what is not there is taken by its name. */
  resolveFolder(name: ByteString): ByteString {
    if (name === '') return '';
    const known = this.#resolved.get(name);
    if (known !== undefined) return known;
    const parts: ByteString[] = [];
    let rest = name.split('/');
    for (let links = 0; rest.length > 0;) {
      const [part, ...others] = rest as [ByteString, ...ByteString[]];
      rest = others;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        parts.pop();
        continue;
      }
      const path = [...parts, part].join('/');
      if (lstatEntry(this.full(path))?.isSymbolicLink() !== true) {
        parts.push(part);
        continue;
      }
      if (++links > MAX_LINKS) throw new BuildError(Code.Unknown, 'too many links');
      const target = readlinkSync(fsPath(this.full(path)), 'latin1');
      if (target.startsWith('/')) parts.length = 0;
      rest = [...target.split('/'), ...rest];
    }
    const resolved = parts.join('/');
    if (this.#resolved.size >= 4096) this.#resolved.clear();
    this.#resolved.set(name, resolved);
    return resolved;
  }

  /** The entry's own path: its folder resolved, its last name as it is. */
  resolve(name: ByteString): ByteString {
    const folder = this.resolveFolder(parentOf(name));
    return folder === '' ? baseOf(name) : `${folder}/${baseOf(name)}`;
  }
}
