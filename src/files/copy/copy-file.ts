import { closeSync, constants, copyFileSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { fsPath } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { invalidArgument } from '../../base/index.ts';

/** Below this a read and a write cost less than asking the kernel to share blocks. */
const SMALL = 256 * 1024;
const scratch = Buffer.allocUnsafeSlow(SMALL);
const zeros = Buffer.alloc(SMALL);

/** A new file at `target` with the data of `source`; blocks are shared where the file system can. */
export function copyFile(source: ByteString, target: ByteString, check: () => void): void {
  const input = openSync(fsPath(source), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(input);
    if (!stats.isFile()) throw invalidArgument('not a regular file');
    const isSparse = stats.size > SMALL && stats.blocks * 512 < stats.size;
    if (stats.size > SMALL && !isSparse) {
      copyFileSync(fsPath(source), fsPath(target), constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
      return;
    }
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const output = openSync(fsPath(target), flags, 0o600);
    try {
      if (isSparse) copySparse(input, output, stats.size, check);
      else copyAll(input, output);
    } finally {
      closeSync(output);
    }
  } finally {
    closeSync(input);
  }
}

function writeAll(fd: number, data: Uint8Array, position: number): void {
  for (let at = 0; at < data.length;) at += writeSync(fd, data, at, data.length - at, position + at);
}

function copyAll(input: number, output: number): void {
  for (let at = 0; ;) {
    const read = readSync(input, scratch, 0, scratch.length, at);
    if (read === 0) return;
    writeAll(output, scratch.subarray(0, read), at);
    at += read;
  }
}

/** Holes stay holes: what is all zeros is not written. `check` throws when the work is no longer wanted. */
function copySparse(input: number, output: number, size: number, check: () => void): void {
  for (let at = 0; at < size;) {
    check();
    const read = readSync(input, scratch, 0, scratch.length, at);
    if (read === 0) break;
    const data = scratch.subarray(0, read);
    if (!data.equals(zeros.subarray(0, read))) writeAll(output, data, at);
    at += read;
  }
  ftruncateSync(output, size);
}
