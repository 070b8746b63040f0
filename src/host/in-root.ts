/** Paths that a build controls: symbolic links in them never lead out of the root. */
import { closeSync, constants, lstatSync, openSync, readlinkSync } from 'node:fs';
import { cString, errnoError, fail, lastErrno, libcFunction } from './libc.ts';

const SYS_OPENAT2 = 437;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_BENEATH = 0x08;
const RESOLVE_IN_ROOT = 0x10;
const O_CLOEXEC = 0o2000000;
const EAGAIN = 11;
const MAX_LINKS = 255;

const syscall = libcFunction('long syscall(long number, int dir, void *path, void *how, size_t size)');

/**
 * The host path of `path` below `root`, links followed as a process confined to `root` would. What does not exist is kept
 * as it is written. `spelt` gives the name that a folder on the host has for what is asked for. The answer is of this moment: where
 * somebody may swap entries meanwhile, use {@link openInRoot}.
 */
export function resolveInRoot(root: string, path: string, spelt?: (folder: string, name: string) => string): string {
  const base = root.replace(/\/+$/, '');
  const done: string[] = [];
  const rest = path.split('/').reverse();
  let links = 0;
  let missing = false;
  while (rest.length > 0) {
    const given = rest.pop() as string;
    if (given === '' || given === '.') continue;
    if (given === '..') {
      done.pop();
      missing = false;
      continue;
    }
    const name = spelt === undefined || missing ? given : spelt([base, ...done].join('/'), given);
    const at = `${base}/${[...done, name].join('/')}`;
    const stats = missing ? undefined : lstatSync(at, { throwIfNoEntry: false });
    if (stats === undefined) missing = true;
    else if (stats.isSymbolicLink()) {
      if (++links > MAX_LINKS) throw errnoError(40, 'resolve', path);
      const target = readlinkSync(at);
      if (target.startsWith('/')) done.length = 0;
      rest.push(...target.split('/').reverse());
      continue;
    } else if (!stats.isDirectory() && rest.some((part) => part !== '' && part !== '.')) {
      throw errnoError(20, 'resolve', path);
    }
    done.push(name);
  }
  return done.length === 0 ? base || '/' : `${base}/${done.join('/')}`;
}

/** Opens `path` below `root` in one step of the kernel, so that nobody can swap a part of it meanwhile. The caller closes. */
export function openInRoot(root: string, path: string, flags: number, mode = 0): number {
  return openAt(root, path, flags, mode, RESOLVE_IN_ROOT);
}

/** As {@link openInRoot}, but a link that leads out of the root, as an absolute one does, is EXDEV. */
export function openBeneath(root: string, path: string, flags: number): number {
  return openAt(root, path.replace(/^\/+/, ''), flags, 0, RESOLVE_BENEATH);
}

function openAt(root: string, path: string, flags: number, mode: number, resolve: number): number {
  const dir = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const how = Buffer.alloc(24);
    how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0);
    if ((flags & constants.O_CREAT) !== 0) how.writeBigUInt64LE(BigInt(mode), 8);
    how.writeBigUInt64LE(BigInt(resolve | RESOLVE_NO_MAGICLINKS), 16);
    const bytes = cString(path === '' ? '.' : path);
    // The kernel asks to try again when something was renamed while it looked.
    for (let attempt = 0; ; attempt++) {
      const fd = Number(syscall(SYS_OPENAT2, dir, bytes, how, how.length));
      if (fd >= 0) return fd;
      if (lastErrno() !== EAGAIN || attempt === 32) fail('openat2', path);
    }
  } finally {
    closeSync(dir);
  }
}
