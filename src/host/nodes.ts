/** Exact times, devices and fifos. */
import { chmodSync } from 'node:fs';
import { cString, fail, libcFunction } from './libc.ts';
import type { HostPath } from './libc.ts';

const sysUtimensat = libcFunction('int utimensat(int dir, void *path, void *times, int flags)');
const sysFutimens = libcFunction('int futimens(int fd, void *times)');
const sysMknod = libcFunction('int mknod(void *path, unsigned int mode, uint64_t dev)');

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const UTIME_OMIT = 0x3ffffffen;
const SECOND = 1_000_000_000n;

function writeTime(into: Buffer, offset: number, ns: bigint | undefined): void {
  if (ns === undefined) {
    into.writeBigInt64LE(UTIME_OMIT, offset + 8);
    return;
  }
  const fraction = ((ns % SECOND) + SECOND) % SECOND;
  into.writeBigInt64LE((ns - fraction) / SECOND, offset);
  into.writeBigInt64LE(fraction, offset + 8);
}

/** Of the entry itself, links included, to the nanosecond. An undefined time stays as it is. */
export function setTimes(path: HostPath, atimeNs: bigint | undefined, mtimeNs: bigint | undefined): void {
  const times = Buffer.alloc(32);
  writeTime(times, 0, atimeNs);
  writeTime(times, 16, mtimeNs);
  if (sysUtimensat(AT_FDCWD, cString(path), times, AT_SYMLINK_NOFOLLOW) !== 0) fail('utimensat', path);
}

/** Of an open file, to the nanosecond. */
export function setOpenFileTimes(fd: number, atimeNs: bigint, mtimeNs: bigint): void {
  const times = Buffer.alloc(32);
  writeTime(times, 0, atimeNs);
  writeTime(times, 16, mtimeNs);
  if (sysFutimens(fd, times) !== 0) fail('futimens');
}

/** `mode` has the type and the permissions, which the process' umask does not cut. */
export function mknod(path: HostPath, mode: number, major: number, minor: number): void {
  const [a, b] = [BigInt(major), BigInt(minor)];
  const dev = ((a & 0xfffn) << 8n) | ((a & ~0xfffn) << 32n) | (b & 0xffn) | ((b & ~0xffn) << 12n);
  if (sysMknod(cString(path), mode, dev) !== 0) fail('mknod', path);
  if ((mode & 0o7777) !== 0) chmodSync(path as string, mode & 0o7777);
}

export function deviceNumbers(rdev: bigint | number): { major: number; minor: number } {
  const dev = BigInt(rdev);
  return {
    major: Number(((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n)),
    minor: Number((dev & 0xffn) | ((dev >> 12n) & 0xffffff00n)),
  };
}
