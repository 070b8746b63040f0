/** Reads of single files and folders in a build's results, confined to the root they are asked in. */
import { closeSync, constants, fstatSync, openSync, readSync, readdirSync } from 'node:fs';
import { BuildError, Code, invalidArgument, notFound } from '../base/index.ts';
import { matchPath, statEntry } from '../files/index.ts';
import { resolveInRoot } from '../host/index.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';

/** A message holds 16 MiB; a larger file must be read in ranges. */
const MAX_READ_BYTES = 16 * 2 ** 20 - 4096;

function errnoText(error: unknown, verb: string, path: string): BuildError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return notFound(`${verb} ${path}: no such file or directory`);
  if (code === 'ENOTDIR') return invalidArgument(`${verb} ${path}: not a directory`);
  if (code === 'ELOOP') return invalidArgument(`${verb} ${path}: too many levels of symbolic links`);
  return new BuildError(Code.Unknown, `${verb} ${path}: ${(error as Error).message}`, { cause: error });
}

/** Links are followed inside `root`; only regular files are read. */
export function readFileIn(
  root: string,
  path: string,
  range: { offset: number; length: number } | undefined,
): Uint8Array {
  let fd: number;
  try {
    fd = openSync(resolveInRoot(root, path), constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw errnoText(error, 'open', path);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw invalidArgument(`${path} is not a regular file`);
    const offset = range?.offset ?? 0;
    if (offset < 0 || (range !== undefined && range.length < 0)) throw invalidArgument(`invalid range of ${path}`);
    const wanted = Math.max(0, Math.min(stat.size - offset, range?.length ?? Infinity));
    if (wanted > MAX_READ_BYTES) {
      throw new BuildError(
        Code.ResourceExhausted,
        `${path} is too large to be read at once: ${wanted} bytes, at most ${MAX_READ_BYTES}`,
      );
    }
    const out = Buffer.allocUnsafe(wanted);
    let at = 0;
    while (at < wanted) {
      const n = readSync(fd, out, at, wanted - at, offset + at);
      if (n === 0) break;
      at += n;
    }
    return out.subarray(0, at);
  } finally {
    closeSync(fd);
  }
}

/** One level, sorted as a transfer would walk it. */
export function readDirIn(root: string, path: string, includePattern: string): Stat[] {
  let names: string[];
  let dir: string;
  try {
    dir = resolveInRoot(root, path);
    names = readdirSync(dir);
  } catch (error) {
    throw errnoText(error, 'open', path);
  }
  return names
    .filter((name) => includePattern === '' || matchPath(includePattern, name))
    .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map((name) => statEntry(dir, name));
}

export function statFileIn(root: string, path: string): Stat {
  try {
    const full = resolveInRoot(root, path);
    return { ...statEntry(full, ''), path: path.replace(/\/+$/, '').split('/').pop() ?? '' };
  } catch (error) {
    throw error instanceof BuildError ? error : errnoText(error, 'lstat', path);
  }
}
