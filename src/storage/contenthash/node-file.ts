/**
 * A tree as a file: a line that names this version of it, the digest of what follows, then the nodes in the order of a walk.
 * A file that is torn or of another format is as good as none.
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { newFolder } from './nodes.ts';
import type { FolderNode, HashNode } from './nodes.ts';

const MAGIC = 'tree1 ';
const VERSION_LENGTH = 16;
const HEAD = MAGIC.length + VERSION_LENGTH;
const SUM = 32;

const FILE = 1;
const LINK = 2;
const FOLDER = 3;
const HAS_DIGEST = 4;
const HAS_HEADER = 8;
const LISTED = 16;

class Writer {
  #bytes = Buffer.allocUnsafe(64 << 10);
  #at = 0;

  #room(bytes: number): void {
    if (this.#at + bytes > this.#bytes.length)
      this.#bytes = Buffer.concat([this.#bytes], this.#bytes.length * 2 + bytes);
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = value;
  }

  count(value: number): void {
    this.#room(4);
    this.#at = this.#bytes.writeUInt32LE(value, this.#at);
  }

  text(value: string): void {
    this.count(value.length);
    this.#room(value.length);
    this.#at += this.#bytes.write(value, this.#at, 'latin1');
  }

  digest(value: string | undefined): void {
    if (value === undefined) return;
    this.#room(32);
    this.#at += this.#bytes.write(value.slice('sha256:'.length), this.#at, 'hex');
  }

  done(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }
}

function writeNode(out: Writer, node: HashNode): void {
  const digest = node.digest === undefined ? 0 : HAS_DIGEST;
  if (node.kind === 'file') out.byte(FILE | digest);
  else if (node.kind === 'symlink') {
    out.byte(LINK | digest);
    out.text(node.target);
  } else {
    out.byte(FOLDER | digest | (node.header === undefined ? 0 : HAS_HEADER) | (node.listed ? LISTED : 0));
    out.digest(node.header);
    out.count(node.children.size);
  }
  out.digest(node.digest);
  if (node.kind !== 'dir') return;
  for (const [name, child] of node.children) {
    out.text(name);
    writeNode(out, child);
  }
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#at++);
  }

  count(): number {
    this.#at += 4;
    return this.#bytes.readUInt32LE(this.#at - 4);
  }

  text(): string {
    const length = this.count();
    this.#at += length;
    return this.#bytes.toString('latin1', this.#at - length, this.#at);
  }

  digest(): string {
    this.#at += 32;
    return `sha256:${this.#bytes.toString('hex', this.#at - 32, this.#at)}`;
  }
}

function readNode(from: Reader): HashNode {
  const flags = from.byte();
  const hasDigest = (flags & HAS_DIGEST) !== 0;
  const kind = flags & 3;
  if (kind === FILE) return { kind: 'file', digest: hasDigest ? from.digest() : undefined };
  if (kind === LINK) {
    const target = from.text();
    return { kind: 'symlink', target, digest: hasDigest ? from.digest() : undefined };
  }
  const node = newFolder();
  if ((flags & HAS_HEADER) !== 0) node.header = from.digest();
  const children = from.count();
  if (hasDigest) node.digest = from.digest();
  node.listed = (flags & LISTED) !== 0;
  for (let i = 0; i < children; i++) {
    const name = from.text();
    node.children.set(name, readNode(from));
  }
  return node;
}

/** The version that is there now; undefined when there is none. */
export function treeVersion(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return undefined;
  }
  try {
    const head = Buffer.alloc(HEAD);
    if (readSync(fd, head, 0, HEAD, 0) !== HEAD || head.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined;
    return head.toString('latin1', MAGIC.length);
  } finally {
    closeSync(fd);
  }
}

export function loadTree(path: string): { root: FolderNode; version: string } | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return undefined;
  }
  if (bytes.length < HEAD + SUM || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined;
  const payload = bytes.subarray(HEAD + SUM);
  if (
    !createHash('sha256')
      .update(payload)
      .digest()
      .equals(bytes.subarray(HEAD, HEAD + SUM))
  )
    return undefined;
  const root = readNode(new Reader(payload));
  return root.kind === 'dir' ? { root, version: bytes.toString('latin1', MAGIC.length, HEAD) } : undefined;
}

/** Returns the new version. `durable`: on the disk when this returns. */
export function saveTree(path: string, root: FolderNode, durable: boolean): string {
  const out = new Writer();
  writeNode(out, root);
  const payload = out.done();
  const version = randomBytes(VERSION_LENGTH / 2).toString('hex');
  const temporary = `${path}.${version}.tmp`;
  try {
    const fd = openSync(temporary, 'wx', 0o600);
    try {
      const sum = createHash('sha256').update(payload).digest();
      for (const part of [Buffer.from(MAGIC + version, 'latin1'), sum, payload])
        for (let at = 0; at < part.length;) at += writeSync(fd, part, at);
      if (durable) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  if (durable) syncFolder(dirname(path));
  return version;
}

export function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
