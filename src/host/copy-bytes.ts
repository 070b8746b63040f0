/** Bytes from file to file without a way through this process. */
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { fail, lastErrno, libcFunction } from './libc.ts';
import type { HostPath } from './libc.ts';

const sysCopy = libcFunction(
  'int64_t copy_file_range(int in, void *inAt, int out, void *outAt, size_t length, unsigned int flags)',
);
const sysClone = libcFunction('int ioctl(int fd, unsigned long request, long from)');
const FICLONE = 0x40049409;
/** What file systems answer that cannot share blocks: ENOTTY, EXDEV, EINVAL, ENOTSUP, ENOSYS, EPERM, ETXTBSY, EBADF. */
const CANNOT = new Set([25, 18, 22, 95, 38, 1, 26, 9]);

/** Copies from the positions of both up to `length` bytes; how many it were, less only at the end of the file. */
export function copyFileRange(from: number, to: number, length: number): number {
  let done = 0;
  while (done < length) {
    const count = Number(sysCopy(from, null, to, null, length - done, 0));
    if (count < 0) fail('copy_file_range');
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Makes `to`, a new file, share the blocks of `from`. False, and no file, where the file system cannot. */
export function reflink(from: HostPath, to: HostPath): boolean {
  const source = openSync(from as string, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const target = openSync(to as string, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    let shared = false;
    try {
      shared = sysClone(target, FICLONE, source) === 0;
      if (!shared && !CANNOT.has(lastErrno())) fail('ioctl', to);
    } finally {
      closeSync(target);
      if (!shared) rmSync(to as string);
    }
    return shared;
  } finally {
    closeSync(source);
  }
}
