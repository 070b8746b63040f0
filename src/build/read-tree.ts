/** Reads of single files and folders in a build's results, confined to the root they are asked in. */
import { closeSync, constants, fstatSync, readSync, readdirSync } from 'node:fs';
import { posix } from 'node:path';
import { BuildError, Code, invalidArgument, notFound } from '../base/index.ts';
import { matchPath, statEntry } from '../files/index.ts';
import { openBeneath, openInRoot, resolveInRoot } from '../host/index.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';

const O_PATH = 0o10000000;
/** A message holds 16 MiB; a larger file must be read in ranges. */
const MAX_READ_BYTES = 16 * 2 ** 20 - 4096;

interface Range {
  readonly offset: number;
  readonly length: number;
}

/** What an open descriptor is a name for, whatever becomes of the path it was opened by. */
function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function baseOf(path: string): string {
  return path.replace(/\/+$/, '').split('/').pop() ?? '';
}

function errnoText(error: unknown, verb: string, path: string): BuildError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return notFound(`${verb} ${path}: no such file or directory`);
  if (code === 'ENOTDIR') return invalidArgument(`${verb} ${path}: not a directory`);
  if (code === 'EXDEV') return invalidArgument(`${verb} ${path}: path escapes from parent`);
  if (code === 'ELOOP') return invalidArgument(`${verb} ${path}: too many levels of symbolic links`);
  return new BuildError(Code.Unknown, `${verb} ${path}: ${(error as Error).message}`, { cause: error });
}

/** Links are followed inside `root`; only regular files are read. */
export function readFileIn(root: string, path: string, range: Range | undefined): Uint8Array {
  return readOpened(path, range, (flags) => openInRoot(root, path, flags));
}

/** As {@link readFileIn}, where a link that leads out of `root` is the caller's to follow. */
export function readFileBeneath(root: string, path: string, range: Range | undefined): Uint8Array {
  return readOpened(path, range, (flags) => openBeneath(root, path, flags));
}

function readOpened(path: string, range: Range | undefined, open: (flags: number) => number): Uint8Array {
  let fd: number;
  try {
    fd = open(constants.O_RDONLY | constants.O_NONBLOCK);
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
  let fd: number;
  try {
    fd = openInRoot(root, path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw errnoText(error, 'open', path);
  }
  try {
    return readdirSync(pathOf(fd))
      .filter((name) => includePattern === '' || matchPath(includePattern, name))
      .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .map((name) => statEntry(pathOf(fd), name));
  } catch (error) {
    throw error instanceof BuildError ? error : errnoText(error, 'open', path);
  } finally {
    closeSync(fd);
  }
}

/** An entry as it is, in a folder that is held while it is looked at: a build may be changing the tree. */
function statEntryIn(root: string, folder: string, name: string): Stat {
  const fd = openInRoot(root, folder, O_PATH | constants.O_DIRECTORY);
  try {
    return statEntry(pathOf(fd), name === '' ? '.' : name);
  } catch (error) {
    throw error instanceof BuildError ? error : errnoText(error, 'lstat', posix.join(folder, name));
  } finally {
    closeSync(fd);
  }
}

/** What `path` leads to, links followed inside `root`. */
export function statFileIn(root: string, path: string): Stat {
  try {
    const inside = resolveInRoot(root, path).slice(root.replace(/\/+$/, '').length);
    return { ...statEntryIn(root, posix.dirname(inside), posix.basename(inside)), path: baseOf(path) };
  } catch (error) {
    throw error instanceof BuildError ? error : errnoText(error, 'lstat', path);
  }
}

/** As {@link statFileIn}; a link that leads out of `root` is described itself. */
export function statFileBeneath(root: string, path: string): Stat {
  try {
    closeSync(openBeneath(root, path, O_PATH));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw errnoText(error, 'stat', path);
    return { ...statEntryIn(root, posix.dirname(path), posix.basename(path)), path: baseOf(path) };
  }
  return statFileIn(root, path);
}
