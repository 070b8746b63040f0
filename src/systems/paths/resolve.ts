import { posix } from 'node:path';
import { wrapError } from '../../base/index.ts';
import type { PathRules } from '../types.ts';

export function isAbsolutePath(rules: PathRules, path: string): boolean {
  try {
    return rules.withoutDrive(path, false).startsWith('/');
  } catch {
    return false;
  }
}

/**
 * `path` from `parent`, absolute, with slashes; one that was absolute already is not cleaned. `keepSlash` keeps what says
 * "into this directory": a last `/` or `/.`. Throws for what is on no image.
 */
export function resolvePath(rules: PathRules, parent: string, path: string, keepSlash: boolean): string {
  const written = rules.toSlash(path);
  let base: string;
  let target: string;
  try {
    base = rules.withoutDrive(rules.toSlash(parent === '' ? '/' : parent), keepSlash);
    if (!base.startsWith('/')) base = join('/', base);
    target = rules.withoutDrive(written === '' ? base : written, keepSlash);
  } catch (error) {
    throw wrapError(error, 'removing drive letter');
  }
  if (!target.startsWith('/')) target = join(base, target);
  if (keepSlash) {
    if (written.endsWith('/') && !target.endsWith('/')) target += '/';
    else if (written.endsWith('/.')) {
      if (target !== '/') target += '/';
      target += '.';
    }
  }
  return target;
}

function join(parent: string, path: string): string {
  return cleanPath(`${parent}/${path}`);
}

/** Without `.`, `..` and doubled slashes; `.` for the empty one. No last slash. */
export function cleanPath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}
