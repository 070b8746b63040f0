/** Mounting, all or nothing. */
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cString, errnoError, fail, lastErrno, libcFunction } from './libc.ts';
import { MS_BIND, MS_RDONLY, MS_REC, MS_REMOUNT, parseMountOptions } from './mount-options.ts';

export interface HostMount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const O_PATH = 0o10000000;
/** The kernel reads one page of options and no more. */
const MAX_DATA = 4000;
/** What a bind mount takes only from a second call. */
const BIND_ATTRIBUTES = ['ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime', 'relatime', 'strictatime'];

const sysMount = libcFunction('int mount(void *source, void *target, void *type, unsigned long flags, void *data)');
const sysUmount = libcFunction('int umount2(void *target, int flags)');

function call(source: string, target: string, type: string | null, flags: number, data: string | null): void {
  const result = sysMount(
    cString(source),
    cString(target),
    type === null ? null : cString(type),
    flags,
    data === null ? null : cString(data),
  );
  if (result !== 0) fail('mount', target);
}

/** Folders of long options are named by descriptors while the call lasts. */
function withShortData(data: readonly string[], use: (data: string) => void): void {
  const plain = data.join(',');
  if (plain.length <= MAX_DATA) {
    use(plain);
    return;
  }
  const fds: number[] = [];
  const short = (path: string): string => {
    const fd = openSync(path, O_PATH | constants.O_DIRECTORY);
    fds.push(fd);
    return `/proc/self/fd/${fd}`;
  };
  try {
    const lower = 'lowerdir=';
    const shortened = data
      .map((d) => (d.startsWith(lower) ? lower + d.slice(lower.length).split(':').map(short).join(':') : d))
      .join(',');
    if (shortened.length > MAX_DATA) throw errnoError(7, 'mount');
    use(shortened);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

/**
 * A volatile overlay, which does not write its files to the disk when it is unmounted, leaves a mark in its work directory,
 * and the kernel mounts nothing on such a mark. Whether files are on the disk is known elsewhere (storage's sync generations),
 * so marks go: before, in case that the one who mounted last was killed, and after, so that a second mount works.
 */
function clearVolatileMark(data: readonly string[]): void {
  const work = data.find((option) => option.startsWith('workdir='))?.slice('workdir='.length);
  if (work === undefined || !data.includes('volatile')) return;
  rmSync(join(work, 'work/incompat'), { recursive: true, force: true });
}

function mountOne(mount: HostMount, target: string): void {
  const { flags, propagation, data } = parseMountOptions(mount.options);
  const bind = (flags & MS_BIND) !== 0;
  if (bind) call(mount.source, target, null, flags & (MS_BIND | MS_REC), null);
  else {
    clearVolatileMark(data);
    withShortData(data, (text) => call(mount.source, target, mount.type, flags, text));
  }
  try {
    if (!bind) clearVolatileMark(data);
    if (bind && ((flags & MS_RDONLY) !== 0 || mount.options.some((o) => BIND_ATTRIBUTES.includes(o)))) {
      call('none', target, null, (flags & ~MS_REC) | MS_REMOUNT, null);
    }
    for (const kind of propagation) call('none', target, null, kind, null);
  } catch (error) {
    sysUmount(cString(target), MNT_DETACH | UMOUNT_NOFOLLOW);
    throw error;
  }
}

/** Mounts on top of each other on `target`. On failure nothing of it stays. */
export function mount(mounts: readonly HostMount[], target: string): void {
  let count = 0;
  try {
    for (const one of mounts) {
      mountOne(one, target);
      count++;
    }
  } catch (error) {
    while (count-- > 0) sysUmount(cString(target), MNT_DETACH | UMOUNT_NOFOLLOW);
    throw error;
  }
}

/** Detaches everything that is mounted on `target`; nothing there is no error. */
export function unmount(target: string): void {
  const path = cString(target);
  while (sysUmount(path, MNT_DETACH | UMOUNT_NOFOLLOW) === 0);
  const errno = lastErrno();
  if (errno !== 22 && errno !== 2 && errno !== 20) throw errnoError(errno, 'umount2', target);
}
