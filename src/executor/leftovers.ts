/** What a killed predecessor left: containers that live on, their mounts, groups and folders. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { logger, sleep } from '../base/index.ts';
import { mountPoints, unmount } from '../host/index.ts';
import { killGroup, removeGroup } from './cgroups.ts';
import { removeBundle } from './run-container.ts';
import type { Runtime } from './runtime.ts';

function names(directory: string, id: RegExp): string[] {
  return existsSync(directory) ? readdirSync(directory).filter((name) => id.test(name)) : [];
}

/** Runtimes that still watch a container of ours, told by the state folder in their arguments. */
function watchers(stateRoot: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`\0--root\0${stateRoot}\0`);
      } catch {
        return false;
      }
    });
}

function groupOf(bundle: string): string | undefined {
  try {
    const { linux } = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as {
      linux?: { cgroupsPath?: unknown };
    };
    const path = linux?.cgroupsPath;
    return typeof path === 'string' && basename(path) === basename(bundle) ? path : undefined;
  } catch {
    return undefined;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone meanwhile
  }
}

async function clearGroup(bundle: string): Promise<void> {
  const group = groupOf(bundle);
  if (group === undefined) return;
  for (let i = 0; i < 50 && killGroup(group); i++) await sleep(20);
  removeGroup(group, () => false);
}

/** Nothing may run yet below `root`. What can't be cleared is logged: the daemon starts all the same. */
export async function clearLeftovers(runtime: Runtime, root: string, id: RegExp): Promise<void> {
  const attempt = async (what: string, work: () => unknown): Promise<void> => {
    try {
      await work();
    } catch (error) {
      logger.warn('leftover could not be cleared', { what, error });
    }
  };
  for (const pid of watchers(runtime.stateRoot)) kill(pid);
  const bundles = names(root, id);
  // Before anything that waits: no process of them writes any more.
  for (const name of bundles) await attempt(name, () => clearGroup(join(root, name)));
  for (const name of names(runtime.stateRoot, id)) await attempt(name, () => runtime.remove(name));
  for (const point of mountPoints(root).reverse()) {
    if (point !== root) await attempt(point, () => unmount(point));
  }
  for (const name of bundles) await attempt(name, () => removeBundle(join(root, name)));
}
