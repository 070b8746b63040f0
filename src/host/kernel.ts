import { closeSync, openSync, readFileSync, statfsSync } from 'node:fs';
import { errnoError, libcFunction } from './libc.ts';
import { mount, unmount } from './mount.ts';
import type { HostMount } from './mount.ts';
import { mountPoints } from './mount-points.ts';

const syncfs = libcFunction('int syncfs(int fd)');
const EIO = 5;

/** Bytes of the file system that holds `path`: all, and free for this process. */
export function space(path: string): { total: number; free: number } {
  const stats = statfsSync(path);
  return { total: stats.blocks * stats.bsize, free: stats.bavail * stats.bsize };
}

/** Names this boot of the machine. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Resolves when everything written so far to the file system of `path` is on the disk. */
export async function syncFileSystem(path: string): Promise<void> {
  const fd = openSync(path, 'r');
  try {
    // errno belongs to the thread that made the call, so only failure as such is known here.
    const result = await new Promise<number>((resolve, reject) => {
      syncfs.async(fd, (error: Error | null, value: number) => (error === null ? resolve(value) : reject(error)));
    });
    if (result !== 0) throw errnoError(EIO, 'syncfs', path);
  } finally {
    closeSync(fd);
  }
}

/** These calls as storage asks for them. */
export const linuxKernel = {
  // oxlint-disable-next-line require-await
  async mount(mounts: readonly HostMount[], target: string): Promise<void> {
    mount(mounts, target);
  },
  // oxlint-disable-next-line require-await
  async unmount(target: string): Promise<void> {
    unmount(target);
  },
  mountPoints,
  space,
  bootId,
  syncFileSystem,
};
