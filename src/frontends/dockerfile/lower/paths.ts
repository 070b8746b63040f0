/** Paths inside the image that is built. On Windows' a drive letter goes and backslashes turn. */
import { cleanPath, cut, joinPath, quote } from '../go-text.ts';
import { prefixError, textError } from '../located-error.ts';

export function toSlash(path: string, os: string): string {
  return os === 'windows' ? path.replaceAll('\\', '/') : path;
}

function cleanKeeping(path: string, keepSlash: boolean): string {
  const clean = cleanPath(path);
  return keepSlash && path.endsWith('/') && !clean.endsWith('/') ? `${clean}/` : clean;
}

/** Throws for what is not on drive C of a Windows image; elsewhere the path stays as it is. */
export function withoutDrive(path: string, os: string, keepSlash: boolean): string {
  if (os !== 'windows') return path;
  if (path.length === 2 && path[1] === ':') throw textError(`No relative path specified in ${quote(path)}`);
  if (toSlash(path.slice(0, 2), os) === '//') throw textError('UNC paths are not supported');
  const [drive, rest, hasDrive] = cut(path, ':');
  if (!hasDrive) return cleanKeeping(toSlash(path, os), keepSlash);
  if (drive.toLowerCase() !== 'c') throw textError('The specified path is not on the system drive (C:)');
  return cleanKeeping(toSlash(rest, os), keepSlash);
}

export function isAbsolute(path: string, os: string): boolean {
  try {
    return withoutDrive(path, os, false).startsWith('/');
  } catch {
    return false;
  }
}

/** `path` from `parent`, absolute; one that was absolute already is not cleaned. `keepSlash` keeps what says "into this directory": a last `/` or `/.`. */
export function resolvePath(parent: string, path: string, os: string, keepSlash: boolean): string {
  const written = toSlash(path, os);
  let base: string;
  let target: string;
  try {
    base = withoutDrive(toSlash(parent === '' ? '/' : parent, os), os, keepSlash);
    if (!base.startsWith('/')) base = joinPath('/', base);
    target = withoutDrive(written === '' ? base : written, os, keepSlash);
  } catch (error) {
    throw prefixError(error, 'removing drive letter');
  }
  if (!target.startsWith('/')) target = joinPath(base, target);
  if (keepSlash) {
    if (written.endsWith('/') && !target.endsWith('/')) target += '/';
    else if (written.endsWith('/.')) {
      if (target !== '/') target += '/';
      target += '.';
    }
  }
  return target;
}
