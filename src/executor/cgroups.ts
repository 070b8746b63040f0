/** Where containers stand in the cgroup tree, and what stays of them there. */
import { existsSync, readFileSync, readdirSync, rmdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import { invalidArgument } from '../base/index.ts';

const OWN = 'buildkit';
const MAX_PARENT = 1024;

/**
 * `parent` is the operator's; `wanted` is a client's and only ever leads below it. The systemd form `x.slice:` is the operator's
 * alone. Upstream's default parent holds the containers in a group `buildkit` of its own.
 */
export function cgroupsPath(parent: string | undefined, wanted: string, id: string): string {
  if (parent !== undefined && parent.includes('.slice') && parent.endsWith(':')) return parent + id;
  if (wanted.length > MAX_PARENT || /[\0:\n]/.test(wanted))
    throw invalidArgument(`invalid cgroup parent ${JSON.stringify(wanted)}`);
  return posix.join('/', parent ?? '', OWN, posix.normalize(`/${wanted}`), id);
}

/** The groups that leading to `path` may have been made for one container only, deepest first; never `buildkit` itself. */
function parents(path: string): string[] {
  const found: string[] = [];
  for (let at = posix.dirname(path); at !== '/' && at !== '.' && posix.basename(at) !== OWN; at = posix.dirname(at))
    found.push(at);
  return found;
}

let mounted: readonly string[] = [];

/** Every mounted hierarchy, v1 and v2: read once, because among hundreds of mounts of builds that takes the kernel milliseconds. */
function hierarchies(): readonly string[] {
  if (mounted.length > 0) return mounted;
  mounted = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [left, right] = line.split(' - ');
      const type = right?.split(' ')[0];
      const at = left?.split(' ')[4];
      return at !== undefined && (type === 'cgroup' || type === 'cgroup2') ? [at] : [];
    });
  return mounted;
}

function directories(path: string): string[] {
  return path.startsWith('/') ? hierarchies().map((at) => join(at, path)) : [];
}

/** Processes in and below a group. */
function processesOf(directory: string): number[] {
  const read = (name: string): string => {
    try {
      return readFileSync(join(directory, name), 'utf8');
    } catch {
      return '';
    }
  };
  const found = read('cgroup.procs')
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
  for (const below of subgroups(directory)) found.push(...processesOf(below));
  return found.filter((pid) => pid > 1);
}

function subgroups(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(directory, entry.name));
  } catch {
    return [];
  }
}

function removeTree(directory: string): void {
  for (const below of subgroups(directory)) removeTree(below);
  try {
    rmdirSync(directory);
  } catch {
    // not there, or somebody else's processes are in it
  }
}

/** Kills what is left in a container's group; true when there was something. */
export function killGroup(path: string): boolean {
  const found = directories(path).flatMap(processesOf);
  for (const pid of new Set(found)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // gone meanwhile
    }
  }
  return found.length > 0;
}

/** False where only the runtime can tell where the group is. */
export function hasGroup(path: string): boolean {
  return !path.startsWith('/') || directories(path).some((directory) => existsSync(directory));
}

/** Removes a container's group, and those above it that a client named, when they are empty and not `isNeeded`. */
export function removeGroup(path: string, isNeeded: (group: string) => boolean): void {
  for (const directory of directories(path)) removeTree(directory);
  for (const parent of parents(path)) {
    if (isNeeded(parent)) return;
    for (const directory of directories(parent)) {
      try {
        rmdirSync(directory);
      } catch {
        // not empty, or not there
      }
    }
  }
}

/** True when the kernel killed a process of that group for want of memory. To be asked before the group goes. */
export function wasOutOfMemory(path: string): boolean {
  const counted = directories(path).some((directory) =>
    ['memory.events', 'memory.oom_control'].some((name) => {
      try {
        return /^oom_kill [1-9]/m.test(readFileSync(join(directory, name), 'utf8'));
      } catch {
        return false;
      }
    }),
  );
  return counted;
}
