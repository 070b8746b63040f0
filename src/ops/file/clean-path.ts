import { posix } from 'node:path';

/** Absolute and clean; `/` or `/.` at its end, which says that a folder is meant, stays (upstream: file/backend.go). */
export function cleanPath(path: string): string {
  const clean = posix.join('/', path).replace(/(?<=.)\/$/, '');
  if (path.endsWith('/.')) return clean === '/' ? '/.' : `${clean}/.`;
  return path.endsWith('/') && clean !== '/' ? `${clean}/` : clean;
}
