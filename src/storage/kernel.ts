import type { Mount } from './types.ts';

/** What storage asks of the kernel; the daemon gives host/'s functions, tests may give none. */
export interface StorageKernel {
  /** Mounts on top of each other on the directory `target`; on failure what was mounted is undone. */
  mount(mounts: readonly Mount[], target: string): Promise<void>;
  /** Detaches everything mounted on `target`; nothing there is no error. */
  unmount(target: string): Promise<void>;
  /** Mount points at and below `directory`, in the order of mounting. */
  mountPoints(directory: string): readonly string[];
  /** Bytes of the file system that holds `path`: all, and free for the daemon. */
  space(path: string): { readonly total: number; readonly free: number };
  /** Names this boot of the machine. */
  bootId(): string;
  /** Resolves when everything written so far to the file system of `path` is on the disk. */
  syncFileSystem(path: string): Promise<void>;
}
