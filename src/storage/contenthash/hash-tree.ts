import { createHash } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { fromByteString, fsPath } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { FolderSpelling } from '../../archive/windows/index.ts';
import { BuildError, Code, notFound } from '../../base/index.ts';
import type { LayerTree, TreeEntry } from '../tree/index.ts';
import { entryDigest } from './entry-digest.ts';
import { partsOf } from './nodes.ts';
import type { FolderNode, HashNode } from './nodes.ts';

const MAX_LINKS = 255;

/** sha256 of nothing: the digest of the root of a tree that came by a transfer, and of a selection that selects nothing. */
export const EMPTY_DIGEST = `sha256:${createHash('sha256').digest('hex')}`;

/** The answer is not in what is known: come again with the files. */
export class FilesNeeded extends Error {}

export interface Located {
  /** Without links in it, without slashes around it; '' is the root. */
  readonly path: ByteString;
  readonly node: HashNode | undefined;
}

/** Go's path.Join('/', path) without its first slash. */
export function cleanPath(path: ByteString): ByteString {
  const parts: ByteString[] = [];
  for (const part of partsOf(path)) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

/** Nodes, and the files that what is unknown of them is read from. Folders are listed, and files hashed, when asked for. */
export class HashTree {
  readonly root: FolderNode;
  /** Something was learnt. */
  changed = false;
  readonly #files: LayerTree | undefined;
  readonly #overlay: boolean;
  readonly #check: () => void;
  /** How listed folders spell their names, where Windows asks. */
  readonly #spellings: Map<FolderNode, FolderSpelling> | undefined;

  constructor(
    root: FolderNode,
    files: { readonly tree: LayerTree; readonly overlay: boolean } | undefined,
    { check, foldsCase }: { readonly check: () => void; readonly foldsCase: boolean },
  ) {
    this.root = root;
    this.#files = files?.tree;
    this.#overlay = files?.overlay ?? false;
    this.#check = check;
    if (foldsCase) this.#spellings = new Map();
  }

  /** Children in byte order. */
  children(folder: FolderNode, path: ByteString): Array<[ByteString, HashNode]> {
    this.#list(folder, path);
    return [...folder.children].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Links on the way are followed inside the tree, the last component's only with `followLast`. Throws "too many links". */
  locate(given: ByteString, followLast: boolean): Located {
    const direct = cleanPath(given);
    const known = this.#lookup(direct);
    if (this.#spellings === undefined && known !== undefined && !(followLast && known.kind === 'symlink'))
      return { path: direct, node: known };
    let current: ByteString[] = [];
    let rest = partsOf(direct);
    let node: HashNode | undefined = this.root;
    for (let links = 0; rest.length > 0;) {
      const [part, ...others] = rest as [ByteString, ...ByteString[]];
      rest = others;
      if (part === '..') current.pop();
      else if (part !== '.') current.push(this.#spelt(current, part));
      node = this.#lookup(current.join('/'));
      if (node?.kind !== 'symlink') continue;
      if (rest.length === 0 && !followLast) break;
      if (++links > MAX_LINKS) throw new BuildError(Code.Unknown, 'too many links');
      if (node.target.startsWith('/')) current = [];
      else current.pop();
      rest = [...partsOf(node.target), ...rest];
      node = this.#lookup(current.join('/'));
    }
    return { path: current.join('/'), node };
  }

  /** NotFound with upstream's text. */
  checksum(path: ByteString, followLast: boolean): string {
    const found = this.locate(path, followLast);
    if (found.node === undefined) {
      const clean = cleanPath(path);
      throw notFound(`"${clean === '' ? '' : `/${fromByteString(clean)}`}": not found`);
    }
    return this.digest(found.node, found.path);
  }

  /** Of a folder with everything in it. */
  digest(node: HashNode, path: ByteString): string {
    if (node.digest !== undefined) return node.digest;
    this.#check();
    if (node.kind === 'dir') {
      const hash = createHash('sha256');
      // Records in the order of their keys, a slash being a zero byte: the folder itself, then what is in it.
      hash.update('\0');
      hash.update(this.header(node, path));
      for (const [name, child] of this.children(node, path)) {
        hash.update(`\0${name}`, 'latin1');
        hash.update(this.digest(child, path === '' ? name : `${path}/${name}`));
      }
      node.digest = `sha256:${hash.digest('hex')}`;
    } else node.digest = entryDigest(this.#entry(path), this.#overlay, this.#check);
    this.changed = true;
    return node.digest;
  }

  /** Of a folder's own attributes. */
  header(folder: FolderNode, path: ByteString): string {
    if (folder.header !== undefined) return folder.header;
    const files = this.#needFiles();
    if (path === '' && files.rootEntry() === undefined) folder.header = EMPTY_DIGEST;
    else folder.header = entryDigest(this.#entry(path), this.#overlay, this.#check);
    this.changed = true;
    return folder.header;
  }

  /** Of an entry as it is on the disk. */
  attributes(path: ByteString): { mode: string; owner: string } {
    const stat = path === '' ? this.#needFiles().rootEntry()?.stat : this.#entry(path).stat;
    if (stat === undefined) return { mode: '', owner: '' };
    return { mode: (Number(stat.mode) & 0o7777).toString(8).padStart(4, '0'), owner: `${stat.uid}:${stat.gid}` };
  }

  /** The name that the folder at `path` has for it. */
  #spelt(path: readonly ByteString[], name: ByteString): ByteString {
    if (this.#spellings === undefined) return name;
    const at = path.join('/');
    const folder = this.#lookup(at);
    if (folder?.kind !== 'dir') return name;
    this.#list(folder, at);
    let spelling = this.#spellings.get(folder);
    if (spelling === undefined) this.#spellings.set(folder, (spelling = new FolderSpelling(folder.children.keys())));
    return spelling.of(name)[0] ?? name;
  }

  #needFiles(): LayerTree {
    if (this.#files === undefined) throw new FilesNeeded();
    return this.#files;
  }

  #entry(path: ByteString): TreeEntry {
    const entry = this.#needFiles().lookup(path);
    if (entry === undefined) throw notFound(`lstat /${fromByteString(path)}: no such file or directory`);
    return entry;
  }

  #lookup(path: ByteString): HashNode | undefined {
    let node: HashNode | undefined = this.root;
    let at = '';
    for (const part of partsOf(path)) {
      if (node?.kind !== 'dir') return undefined;
      let child: HashNode | undefined = node.children.get(part);
      if (child === undefined && !node.listed) {
        this.#list(node, at);
        child = node.children.get(part);
      }
      node = child;
      at = at === '' ? part : `${at}/${part}`;
    }
    return node;
  }

  /** What is known of an entry stays, unless it is of another kind. */
  #list(folder: FolderNode, path: ByteString): void {
    if (folder.listed) return;
    const files = this.#needFiles();
    this.#check();
    const real = path === '' ? files.root : files.lookup(path)?.folder;
    const before = new Map(folder.children);
    folder.children.clear();
    if (real !== undefined) {
      for (const name of files.names(real)) {
        const entry = files.find(real, name);
        if (entry !== undefined) folder.children.set(name, nodeOf(entry, before.get(name)));
      }
    }
    folder.listed = true;
    this.changed = true;
  }
}

function nodeOf(entry: TreeEntry, known: HashNode | undefined): HashNode {
  if (entry.stat.isDirectory()) {
    if (known?.kind === 'dir') return known;
    return { kind: 'dir', header: undefined, digest: undefined, listed: false, children: new Map() };
  }
  if (entry.stat.isSymbolicLink()) {
    const target = readlinkSync(fsPath(entry.real), 'latin1');
    return known?.kind === 'symlink' && known.target === target
      ? known
      : { kind: 'symlink', target, digest: undefined };
  }
  return known?.kind === 'file' ? known : { kind: 'file', digest: undefined };
}
