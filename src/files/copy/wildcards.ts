import { lstatSync, readdirSync } from 'node:fs';
import { posix } from 'node:path';
import { fromByteString, fsPath, toByteString } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { hasWildcards, matchPath } from '../glob.ts';
import { pathError } from '../path-error.ts';
import type { FolderNames } from './folder-names.ts';
import { resolveSource } from './resolve.ts';

function matches(pattern: string, path: string): boolean {
  try {
    return matchPath(pattern, path);
  } catch {
    // Go's walk ignores a malformed pattern: it matches nothing.
    return false;
  }
}

/**
 * The paths (byte strings from the root, with a leading slash) that `pattern` stands for, in byte order. What is before the first
 * wildcard is resolved in the root; the rest is matched against whole relative paths, and what matches is not descended into.
 */
export function resolveWildcards(
  root: string,
  pattern: string,
  followLinks: boolean,
  names?: FolderNames,
): ByteString[] {
  const parts = posix
    .join('/', pattern)
    .split('/')
    .filter((part) => part !== '');
  const first = parts.findIndex((part) => hasWildcards(part));
  if (first < 0) return [toByteString(`/${parts.join('/')}`)];
  const base = resolveSource(root, `/${parts.slice(0, first).join('/')}`, followLinks, names);
  const rest = parts.slice(first).join('/');
  const prefix = base.slice(toByteString(root).replace(/\/+$/, '').length);
  const found: ByteString[] = [];
  // A pattern has as many components as what it matches.
  const depth = parts.length - first;
  const visit = (dir: ByteString, relative: ByteString, level: number): void => {
    let listed: ByteString[];
    try {
      listed = readdirSync(fsPath(dir), { encoding: 'latin1' }).sort();
    } catch (error) {
      throw pathError(error, 'open', fromByteString(prefix === '' ? '/' : prefix));
    }
    for (const name of listed) {
      const path = relative === '' ? name : `${relative}/${name}`;
      if (level === depth) {
        if (matches(rest, fromByteString(path))) found.push(`${prefix}/${path}`);
      } else if (
        matches(parts.slice(first, first + level).join('/'), fromByteString(path)) &&
        lstatSync(fsPath(`${dir}/${name}`)).isDirectory()
      ) {
        visit(`${dir}/${name}`, path, level + 1);
      }
    }
  };
  visit(base, '', 1);
  return found;
}
