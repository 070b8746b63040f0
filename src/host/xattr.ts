/** Extended attributes of an entry itself: links are never followed. */
import { cString, fail, lastErrno, libcFunction } from './libc.ts';
import type { HostPath } from './libc.ts';

const llistxattr = libcFunction('int64_t llistxattr(void *path, _Out_ void *list, size_t size)');
const lgetxattr = libcFunction('int64_t lgetxattr(void *path, void *name, _Out_ void *value, size_t size)');
const lsetxattr = libcFunction('int lsetxattr(void *path, void *name, void *value, size_t size, int flags)');
const lremovexattr = libcFunction('int lremovexattr(void *path, void *name)');

const ENODATA = 61;
const ENOTSUP = 95;
/** The kernel's bound on the list of names and on a value. */
const MAX = 65536;
const buffer = Buffer.alloc(MAX);
const NOTHING = Buffer.alloc(1);

/** Empty where the file system has none. */
export function listXattrs(path: HostPath): string[] {
  const length = Number(llistxattr(cString(path), buffer, MAX));
  if (length < 0) {
    if (lastErrno() === ENOTSUP) return [];
    fail('llistxattr', path);
  }
  if (length === 0) return [];
  return buffer.toString('utf8', 0, length - 1).split('\0');
}

/** undefined: there is none of this name, or the file system has none at all. */
export function getXattr(path: HostPath, name: string): Buffer | undefined {
  const length = Number(lgetxattr(cString(path), cString(name), buffer, MAX));
  if (length < 0) {
    const errno = lastErrno();
    if (errno === ENODATA || errno === ENOTSUP) return undefined;
    fail('lgetxattr', path);
  }
  return Buffer.from(buffer.subarray(0, length));
}

export function setXattr(path: HostPath, name: string, value: Uint8Array): void {
  const bytes = value.length === 0 ? NOTHING : value;
  if (lsetxattr(cString(path), cString(name), bytes, value.length, 0) !== 0) fail('lsetxattr', path);
}

/** None of this name is no error. */
export function removeXattr(path: HostPath, name: string): void {
  if (lremovexattr(cString(path), cString(name)) !== 0 && lastErrno() !== ENODATA) fail('lremovexattr', path);
}
