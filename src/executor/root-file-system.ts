/** The rootfs of a container, before the runtime sees it. */
import { chownSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BuildError, Code, wrapError } from '../base/index.ts';
import { resolveInRoot } from '../host/index.ts';

/** The runtime follows these names as the host sees them: a link there would have it write outside. */
const RUNTIME_FOLDERS = ['dev', 'proc', 'sys'];

export function checkRuntimeFolders(root: string): void {
  for (const name of RUNTIME_FOLDERS) {
    const stats = lstatSync(join(root, name), { throwIfNoEntry: false });
    if (stats === undefined || stats.isDirectory()) continue;
    throw new BuildError(Code.FailedPrecondition, `/${name} of the root file system is not a directory`);
  }
}

/** Makes the working directory where it is missing, owned by who runs in it. */
export function makeWorkingDirectory(root: string, cwd: string, uid: number, gid: number): void {
  let at: string;
  try {
    at = resolveInRoot(root, cwd);
  } catch (error) {
    throw wrapError(error, `working dir ${cwd} points to invalid target`);
  }
  try {
    const missing: string[] = [];
    for (
      let path = at;
      path !== root && statSync(path, { throwIfNoEntry: false }) === undefined;
      path = dirname(path)
    ) {
      missing.push(path);
    }
    for (const path of missing.reverse()) {
      mkdirSync(path, { mode: 0o755 });
      chownSync(path, uid, gid);
    }
  } catch (error) {
    throw wrapError(error, `failed to create working directory ${cwd}`);
  }
}
