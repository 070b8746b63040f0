/** Makes a received entry on disk: what takes the place of another is made beside it and renamed, so that nothing that exists is written into. */
import { createHash, randomBytes } from 'node:crypto';
import type { Hash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { contentHashHeader, fromByteString, fsPath } from '../archive/index.ts';
import type { ByteString } from '../archive/index.ts';
import { BuildError, Code, invalidArgument } from '../base/index.ts';
import { setOpenFileTimes } from '../host/index.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';
import { ConfinedRoot } from './confined-root.ts';
import { isDir, isSymlink, unixMode } from './go-mode.ts';
import { makeNode, readXattrs, setMtime, writeXattrs } from './attributes.ts';
import { pathError } from './path-error.ts';
import { joinPath, parentOf } from './path-order.ts';
import { removeTree } from './remove-tree.ts';
import { toText } from './stat-entry.ts';
import { GoMode } from './types.ts';
import type { TreeChange } from './types.ts';

/** Senders interleave four; one that opens hundreds wants our handles. */
const MAX_OPEN_FILES = 256;

/** A file whose data is still to come. */
export interface PendingFile {
  readonly kind: 'add' | 'modify';
  readonly stat: Stat;
  /** Where the data goes until it is whole; undefined before the first byte. While `isSame`, the file that it is compared with. */
  open: { readonly fd: number; readonly at: ByteString } | undefined;
  /** What has come is what the file has that is there: nothing is written. */
  isSame: boolean;
  /** Its end has been written: there is no hole. */
  isLong: boolean;
  readonly hash: Hash | undefined;
  received: bigint;
  /** Names that become links to it once it is there. */
  readonly links: Array<{ readonly kind: 'add' | 'modify'; readonly stat: Stat }>;
}

export interface TreeWriterOptions {
  readonly hashes: boolean;
  /** Called once, before anything is changed. */
  readonly beforeFirst?: () => void;
  readonly onChange: (change: TreeChange) => void;
}

export class TreeWriter {
  readonly #root: ConfinedRoot;
  readonly #hashes: boolean;
  #beforeFirst: (() => void) | undefined;
  readonly #onChange: (change: TreeChange) => void;
  /** Every folder of the listing, and which of them must get its time back in the end. */
  readonly #folderTimes = new Map<ByteString, bigint>();
  readonly #touched = new Set<ByteString>();
  /** By path. */
  readonly #pending = new Map<ByteString, PendingFile>();
  #openFiles = 0;

  constructor(root: string, { hashes, beforeFirst, onChange }: TreeWriterOptions) {
    this.#root = new ConfinedRoot(root);
    this.#hashes = hashes;
    this.#beforeFirst = beforeFirst;
    this.#onChange = onChange;
  }

  #begin(): void {
    this.#beforeFirst?.();
    this.#beforeFirst = undefined;
  }

  /** What is at `path` now. */
  existing(path: ByteString): { readonly isDir: boolean } | undefined {
    const stats = lstatSync(this.#root.entry(path), { throwIfNoEntry: false });
    return stats === undefined ? undefined : { isDir: stats.isDirectory() };
  }

  /** Every folder of the listing passes here, changed or not. */
  noteFolder(stat: Stat): void {
    this.#folderTimes.set(stat.path, stat.modTime);
  }

  #touch(path: ByteString): void {
    this.#touched.add(parentOf(path));
  }

  remove(path: ByteString): void {
    this.#begin();
    this.#root.trim();
    this.#root.forget(path);
    try {
      removeTree(this.#root.entryBytes(path));
    } catch (error) {
      throw pathError(error, 'failed to remove', fromByteString(path));
    }
    this.#touch(path);
    this.#onChange({ kind: 'delete', path: fromByteString(path) });
  }

  /** A file that has these attributes already waits for data, which may be what it has. */
  awaitSame(stat: Stat): PendingFile {
    this.#root.trim();
    const file = this.#await('modify', stat);
    file.isSame = sameXattrs(readXattrs(this.#root.entryBytes(stat.path)), stat.xattrs);
    return file;
  }

  #await(kind: 'add' | 'modify', stat: Stat): PendingFile {
    const hash = this.#hashes ? createHash('sha256').update(contentHashHeader(toText(stat))) : undefined;
    const file = { kind, stat, open: undefined, isSame: false, hash, isLong: false, received: 0n, links: [] };
    this.#pending.set(stat.path, file);
    return file;
  }

  /** Makes the entry, except for data: then it gives the file that waits for it. */
  apply(
    kind: 'add' | 'modify',
    stat: Stat,
    existing: { readonly isDir: boolean } | undefined,
  ): PendingFile | undefined {
    this.#begin();
    this.#root.trim();
    try {
      return this.#apply(kind, stat, existing);
    } catch (error) {
      throw pathError(error, 'failed to write', fromByteString(stat.path));
    }
  }

  #apply(
    kind: 'add' | 'modify',
    stat: Stat,
    existing: { readonly isDir: boolean } | undefined,
  ): PendingFile | undefined {
    this.#touch(stat.path);
    const dir = isDir(stat.mode);
    if (existing !== undefined && existing.isDir !== dir) {
      this.#root.forget(stat.path);
      removeTree(this.#root.entryBytes(stat.path));
    }
    if (dir) {
      if (existing?.isDir !== true) mkdirSync(this.#root.entry(stat.path), 0o700);
      this.#touched.add(stat.path);
      this.#setAttributes(stat.path, stat);
      this.#changed(kind, stat);
      return undefined;
    }
    if (stat.linkname !== '' && !isSymlink(stat.mode)) {
      const target = this.#pending.get(stat.linkname);
      if (target === undefined) this.#link(kind, stat);
      else target.links.push({ kind, stat });
      return undefined;
    }
    if ((stat.mode & GoMode.Type) === 0) return this.#await(kind, stat);
    this.#beside(stat.path, (temporary) => {
      const path = this.#root.entry(temporary);
      if (isSymlink(stat.mode)) symlinkSync(fsPath(stat.linkname), path);
      else makeNode(this.#root.entryBytes(temporary), stat);
      this.#setAttributes(temporary, stat);
    });
    this.#changed(kind, stat);
    return undefined;
  }

  /** Runs `make` with a new name in the same folder and renames that to `path`; a failure leaves nothing. */
  #beside(path: ByteString, make: (temporary: ByteString) => void): void {
    const temporary = temporaryName(path);
    try {
      make(temporary);
      renameSync(this.#root.entry(temporary), this.#root.entry(path));
    } catch (error) {
      removeTree(this.#root.entryBytes(temporary));
      throw error;
    }
  }

  #link(kind: 'add' | 'modify', stat: Stat): void {
    // rename(2) does nothing when both names are one file already: the other one would stay.
    if (kind === 'modify') removeTree(this.#root.entryBytes(stat.path));
    const target = this.#root.entryBytes(stat.linkname);
    if (!lstatSync(fsPath(target)).isFile() && (stat.mode & GoMode.Type) === 0) {
      throw invalidArgument(`invalid link ${fromByteString(stat.path)}: target is not a file`);
    }
    linkSync(fsPath(target), this.#root.entry(stat.path));
    this.#changed(kind, stat);
  }

  /** Throws when more comes than was announced. */
  write(file: PendingFile, data: Uint8Array): void {
    const start = Number(file.received);
    file.received += BigInt(data.length);
    if (file.received > file.stat.size) throw sizeDiffers(file);
    file.hash?.update(data);
    if (file.isSame) {
      if (this.#goesOnTheSame(file, data, start)) return;
      this.#begin();
    }
    try {
      if (file.isSame) this.#becomeOther(file, start);
      const { fd } = this.#open(file);
      // Holes stay holes: nobody's empty gigabytes fill the disk.
      const isHole = isZero(data);
      if (!isHole) writeAll(fd, data, start);
      file.isLong = !isHole;
    } catch (error) {
      throw pathError(error, 'failed to write', fromByteString(file.stat.path));
    }
  }

  #goesOnTheSame(file: PendingFile, data: Uint8Array, position: number): boolean {
    try {
      return hasBytes(this.#open(file).fd, data, position);
    } catch (error) {
      throw pathError(error, 'failed to read', fromByteString(file.stat.path));
    }
  }

  /** From now on a new file, with the `length` bytes that were the same. */
  #becomeOther(file: PendingFile, length: number): void {
    const old = this.#open(file);
    file.open = undefined;
    file.isSame = false;
    try {
      const { fd } = this.#open(file);
      const piece = Buffer.allocUnsafe(Math.min(length, PIECE));
      for (let at = 0; at < length;) {
        const read = readSync(old.fd, piece, 0, Math.min(piece.length, length - at), at);
        if (read === 0) throw new Error('the file became shorter');
        writeAll(fd, piece.subarray(0, read), at);
        at += read;
      }
    } finally {
      closeSync(old.fd);
      this.#openFiles--;
    }
  }

  /**
   * A new file is written where it will be, as nothing is there that others could see. It gets its time last, so that half of
   * one is never taken for the file that was listed.
   */
  #open(file: PendingFile): { readonly fd: number; readonly at: ByteString } {
    if (file.open !== undefined) return file.open;
    if (this.#openFiles >= MAX_OPEN_FILES) {
      throw new BuildError(Code.ResourceExhausted, `more than ${MAX_OPEN_FILES} files are sent at once`);
    }
    const at = file.kind === 'add' || file.isSame ? file.stat.path : temporaryName(file.stat.path);
    const create = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
    const flags = (file.isSame ? constants.O_RDONLY : create) | constants.O_NOFOLLOW;
    const fd = openSync(this.#root.entry(at), flags, 0o600);
    this.#openFiles++;
    return (file.open = { fd, at });
  }

  #close(file: PendingFile): void {
    if (file.open === undefined) return;
    closeSync(file.open.fd);
    file.open = undefined;
    this.#openFiles--;
  }

  /** All data is there: the file takes its place, and its links theirs. */
  finish(file: PendingFile): void {
    if (file.received !== file.stat.size) throw sizeDiffers(file);
    const { path } = file.stat;
    this.#root.trim();
    if (file.isSame) {
      this.#close(file);
      this.#pending.delete(path);
      for (const link of file.links) this.#link(link.kind, link.stat);
      return;
    }
    try {
      const { fd, at } = this.#open(file);
      const { stat } = file;
      if (!file.isLong) ftruncateSync(fd, Number(stat.size));
      fchownSync(fd, stat.uid, stat.gid);
      fchmodSync(fd, unixMode(stat.mode));
      if (stat.xattrs.size > 0) writeXattrs(this.#root.entryBytes(at), stat.xattrs);
      setOpenFileTimes(fd, stat.modTime, stat.modTime);
      this.#close(file);
      if (at !== path) renameSync(this.#root.entry(at), this.#root.entry(path));
    } catch (error) {
      throw pathError(error, 'failed to write', fromByteString(path));
    }
    this.#pending.delete(path);
    this.#touch(path);
    const digest = file.hash === undefined ? undefined : `sha256:${file.hash.digest('hex')}`;
    this.#onChange({ kind: file.kind, path: fromByteString(path), stat: toText(file.stat), digest });
    for (const link of file.links) this.#link(link.kind, link.stat);
  }

  #setAttributes(path: ByteString, stat: Stat): void {
    // A folder is opened first: should a link take its place meanwhile, that is not followed.
    const bytes = this.#root.entryBytes(isDir(stat.mode) ? `${path}/.` : path);
    lchownSync(fsPath(bytes), stat.uid, stat.gid);
    if (!isSymlink(stat.mode)) chmodSync(fsPath(bytes), unixMode(stat.mode));
    writeXattrs(bytes, stat.xattrs);
    setMtime(bytes, stat.modTime);
  }

  #changed(kind: 'add' | 'modify', stat: Stat): void {
    const text = toText(stat);
    const digest = this.#hashes
      ? `sha256:${createHash('sha256').update(contentHashHeader(text)).digest('hex')}`
      : undefined;
    this.#onChange({ kind, path: text.path, stat: text, digest });
  }

  /** Gives folders the times that writing into them has changed. */
  restoreTimes(): void {
    for (const path of this.#touched) {
      this.#root.trim();
      const time = this.#folderTimes.get(path);
      if (time !== undefined) setMtime(this.#root.entryBytes(`${path}/.`), time);
    }
  }

  /** A file of the receiver's own at the top, written by `fill`. */
  writeOwnFile(name: string, data: Uint8Array): void {
    this.#begin();
    this.#beside(name, (temporary) => {
      const fd = openSync(this.#root.entry(temporary), 'wx', 0o644);
      try {
        writeAll(fd, data, 0);
      } finally {
        closeSync(fd);
      }
    });
  }

  /** Ends; what was begun and not finished is removed. */
  close(): void {
    for (const file of this.#pending.values()) {
      if (file.open === undefined) continue;
      const { at } = file.open;
      this.#close(file);
      if (file.isSame) continue;
      try {
        unlinkSync(this.#root.entry(at));
      } catch {
        // Its folder is gone, or the disk is: the next transfer into this tree removes what is left.
      }
    }
    this.#root.close();
  }
}

const PIECE = 64 * 1024;

/** The file has these bytes there. */
function hasBytes(fd: number, data: Uint8Array, position: number): boolean {
  const piece = Buffer.allocUnsafe(Math.min(data.length, PIECE));
  for (let at = 0; at < data.length;) {
    const read = readSync(fd, piece, 0, Math.min(piece.length, data.length - at), position + at);
    if (read === 0 || Buffer.compare(piece.subarray(0, read), data.subarray(at, at + read)) !== 0) return false;
    at += read;
  }
  return true;
}

function sameXattrs(a: ReadonlyMap<string, Uint8Array>, b: ReadonlyMap<string, Uint8Array>): boolean {
  if (a.size !== b.size) return false;
  return [...a].every(([name, value]) => {
    const other = b.get(name);
    return other !== undefined && Buffer.compare(value, other) === 0;
  });
}

/** Smaller pieces are less than a file system's block. */
const SMALLEST_HOLE = 4096;
const zeros = Buffer.alloc(64 * 1024);

function writeAll(fd: number, data: Uint8Array, position: number): void {
  for (let at = 0; at < data.length;) at += writeSync(fd, data, at, data.length - at, position + at);
}

function isZero(data: Uint8Array): boolean {
  if (data.length < SMALLEST_HOLE || data[0] !== 0 || data[data.length - 1] !== 0) return false;
  for (let at = 0; at < data.length; at += zeros.length) {
    const part = data.subarray(at, at + zeros.length);
    if (Buffer.compare(part, zeros.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}

function temporaryName(path: ByteString): ByteString {
  return joinPath(parentOf(path), `.tmp.${randomBytes(8).toString('hex')}`);
}

function sizeDiffers(file: PendingFile): Error {
  const { path, size } = file.stat;
  return invalidArgument(
    `file ${fromByteString(path)} changed while it was sent: ${file.received} bytes were received, ${size} announced`,
  );
}
