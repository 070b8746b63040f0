/** The runtime makes empty files and folders to mount on; what it made is not part of the step's result. */
import { lstatSync, readdirSync, rmSync, rmdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { logger } from '../base/index.ts';
import { resolveInRoot, setTimes } from '../host/index.ts';

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ENOENT' && code !== 'ENOTDIR';
  }
}

/** Paths below `root` that are mounted on and are not there yet, deepest first. `recursive`: their missing parents too. */
export function missingMountPoints(root: string, destinations: readonly string[], recursive: boolean): string[] {
  const found: string[] = [];
  for (const destination of ['/etc/resolv.conf', '/etc/hosts', ...destinations]) {
    let path: string;
    try {
      path = resolveInRoot(root, destination);
    } catch {
      continue;
    }
    while (path !== root && !exists(path)) {
      found.push(path);
      if (!recursive) break;
      path = dirname(path);
    }
  }
  return found;
}

/** Takes away what is empty still, and leaves the times of the parents as they were. */
export function removeMountStubs(root: string, paths: readonly string[]): void {
  for (const path of paths) {
    try {
      // The process may have put links in the way meanwhile.
      const parent = dirname(path);
      if (resolveInRoot(root, path.slice(root.length)) !== path) continue;
      const stats = lstatSync(path);
      if (stats.isDirectory() ? readdirSync(path).length > 0 : stats.size > 0) continue;
      const { atimeNs, mtimeNs } = statSync(parent, { bigint: true });
      if (stats.isDirectory()) rmdirSync(path);
      else rmSync(path);
      setTimes(parent, atimeNs, mtimeNs);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR') logger.warn('failed to remove mount stub', { path, error });
    }
  }
}
