/** Calls into the C library, with errno as an error that looks like node:fs' own. */
import { constants } from 'node:os';
import koffi from 'koffi';

/** A path as text or, where it is no UTF-8, as bytes. */
export type HostPath = string | Uint8Array;

const CODES = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));
// Both names have the value 95; node:fs reports this one.
CODES.set(95, 'ENOTSUP');
CODES.set(11, 'EAGAIN');

/** What it returns is a number, or a bigint where that is needed. */
export interface LibcFunction {
  (...args: unknown[]): number | bigint;
  /** In the thread pool, for calls that end soon. */
  async(...args: unknown[]): void;
}

let libc: ReturnType<typeof koffi.load> | undefined;

/** Bound when it is first called: a program that calls none does not load koffi. */
export function libcFunction(prototype: string): LibcFunction {
  let bound: LibcFunction | undefined;
  const get = (): LibcFunction => (bound ??= (libc ??= koffi.load(null)).func(prototype) as LibcFunction);
  return Object.assign((...args: unknown[]) => get()(...args), { async: (...args: unknown[]) => get().async(...args) });
}

/** NUL-terminated bytes. A NUL inside would silently mean another path. */
export function cString(text: HostPath): Buffer {
  const bytes = Buffer.from(text as string);
  if (bytes.includes(0)) throw errnoError(22, 'path', text);
  return Buffer.concat([bytes, Buffer.of(0)]);
}

export function errnoError(errno: number, syscall: string, path?: HostPath): NodeJS.ErrnoException {
  const code = CODES.get(errno) ?? `E${errno}`;
  const shown = path === undefined ? undefined : Buffer.from(path as string).toString();
  const error: NodeJS.ErrnoException = new Error(`${code}: ${syscall}${shown === undefined ? '' : ` '${shown}'`}`);
  error.errno = -errno;
  error.code = code;
  error.syscall = syscall;
  if (shown !== undefined) error.path = shown;
  return error;
}

/** Throws what errno says; called right after a call that failed. */
export function fail(syscall: string, path?: HostPath): never {
  throw errnoError(koffi.errno(), syscall, path);
}

export function lastErrno(): number {
  return koffi.errno();
}
