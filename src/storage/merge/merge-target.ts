import {
  chmodSync,
  closeSync,
  constants,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { fsPath, toByteString } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import type { TreeSpelling } from '../../archive/windows/index.ts';
import { getXattr, listXattrs, mknod, setTimes, setXattr } from '../../host/index.ts';
import { LayerTree, lstatEntry, spellingOf } from '../tree/index.ts';
import type { TreeEntry } from '../tree/index.ts';
import { deviceOf } from '../diff/device.ts';
import { copyData } from './copy-data.ts';
import type { MergeRequest, MergeUsage } from './types.ts';

const S_IFMT = 0o170000;
const S_IFCHR = 0o020000;

function inodeOf(stat: BigIntStats): string {
  return `${stat.dev}:${stat.ino}`;
}

export interface FileOrigin {
  /** The file itself may get a name here. */
  readonly share: boolean;
  /** Another name of the same file that the same layer brought already. */
  readonly linkTo: ByteString | undefined;
}

/**
 * The directory that changes are applied to. Its folders are made before what is in them, as real folders, and nobody else
 * writes to it: a path joined to it stays in it.
 */
export class MergeTarget {
  readonly #root: ByteString;
  readonly #overlay: boolean;
  readonly #below: LayerTree;
  readonly #opaque: string;
  readonly #folderTimes = new Map<ByteString, BigIntStats>();
  /** Files of other snapshots that are named here, by inode: no second name may be given that no layer has. */
  readonly #shared = new Set<string>();
  readonly #spelling: TreeSpelling | undefined;

  constructor(request: MergeRequest) {
    this.#root = toByteString(request.target);
    this.#overlay = request.style === 'overlay';
    this.#below = new LayerTree(request.lower);
    this.#opaque = request.userxattr === true ? 'user.overlay.opaque' : 'trusted.overlay.opaque';
    if (request.foldsCase === true)
      this.#spelling = spellingOf(new LayerTree([request.target, ...request.lower], this.#overlay));
  }

  remove(given: ByteString): void {
    const path = this.#spelling?.of(given) ?? given;
    const full = this.#full(path);
    rmSync(fsPath(full), { recursive: true, force: true });
    if (this.#overlay && this.#below.lookup(path) !== undefined) mknod(fsPath(full), S_IFCHR, 0, 0);
    this.#spelling?.removed();
  }

  put(given: ByteString, { stat, real }: TreeEntry, from: FileOrigin): void {
    const path = this.#spelling?.of(given) ?? given;
    this.#spelling?.add(path);
    const full = this.#full(path);
    const old = lstatEntry(full);
    const merges = old?.isDirectory() === true && stat.isDirectory();
    if (old !== undefined && !merges) rmSync(fsPath(full), { recursive: true, force: true });
    if (this.#linked(full, stat, real, from)) return;
    if (!merges) this.#make(full, stat, real);
    this.#copyAttributes(full, stat, real);
    // A folder in place of something else must not show what layers below have under its name.
    if (this.#overlay && old !== undefined && !merges && stat.isDirectory())
      setXattr(fsPath(full), this.#opaque, Buffer.from('y'));
    if (stat.isDirectory()) this.#folderTimes.set(path, stat);
    else setTimes(fsPath(full), stat.atimeNs, stat.mtimeNs);
  }

  /** Gives folders their times. */
  finish(): void {
    for (const [path, { atimeNs, mtimeNs }] of this.#folderTimes) {
      const full = this.#full(path);
      if (lstatEntry(full)?.isDirectory() === true) setTimes(fsPath(full), atimeNs, mtimeNs);
    }
  }

  /** What is here and in no other snapshot. */
  usage(): MergeUsage {
    const seen = new Set(this.#shared);
    let size = 0;
    let inodes = 0;
    const visit = (path: ByteString): void => {
      const stat = lstatSync(fsPath(path), { bigint: true });
      if (stat.isDirectory()) {
        for (const name of readdirSync(fsPath(path), { encoding: 'latin1' })) visit(`${path}/${name}`);
      } else if (stat.nlink > 1n) {
        if (seen.has(inodeOf(stat))) return;
        seen.add(inodeOf(stat));
      }
      size += Number(stat.blocks) * 512;
      inodes++;
    };
    visit(this.#root);
    return { size, inodes };
  }

  #full(path: ByteString): ByteString {
    return `${this.#root}/${path}`;
  }

  /** Named pipes and sockets are never shared: processes could meet there. */
  #linked(full: ByteString, stat: BigIntStats, real: ByteString, { share, linkTo }: FileOrigin): boolean {
    if (stat.isDirectory() || stat.isFIFO() || stat.isSocket()) return false;
    let source: ByteString;
    const first = linkTo === undefined ? undefined : this.#full(this.#spelling?.of(linkTo) ?? linkTo);
    if (first !== undefined && lstatEntry(first) !== undefined) source = first;
    else if (share && !this.#shared.has(inodeOf(stat))) source = real;
    else return false;
    try {
      linkSync(fsPath(source), fsPath(full));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EXDEV' || code === 'EMLINK' || code === 'EPERM') return false;
      throw error;
    }
    if (source === real) this.#shared.add(inodeOf(stat));
    return true;
  }

  #make(full: ByteString, stat: BigIntStats, real: ByteString): void {
    const at = fsPath(full);
    if (stat.isDirectory()) mkdirSync(at, 0o700);
    else if (stat.isSymbolicLink()) symlinkSync(readlinkSync(fsPath(real), 'buffer'), at);
    else if (stat.isFile()) {
      const from = openSync(fsPath(real), constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        const to = openSync(at, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
        try {
          copyData(from, to, Number(stat.size), Number(stat.blocks) * 512);
        } finally {
          closeSync(to);
        }
      } finally {
        closeSync(from);
      }
    } else {
      const { devmajor, devminor } = deviceOf(stat.rdev);
      mknod(at, Number(stat.mode) & (S_IFMT | 0o7777), devmajor, devminor);
    }
  }

  /** A change of owner takes capabilities away, so it comes first. */
  #copyAttributes(full: ByteString, stat: BigIntStats, real: ByteString): void {
    lchownSync(fsPath(full), Number(stat.uid), Number(stat.gid));
    if (!stat.isSymbolicLink()) chmodSync(fsPath(full), Number(stat.mode & 0o7777n));
    for (const name of listXattrs(fsPath(real))) {
      if (name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.')) continue;
      const value = getXattr(fsPath(real), name);
      if (value === undefined) continue;
      try {
        setXattr(fsPath(full), name, value);
      } catch {
        // Security modules and foreign file systems refuse some: upstream leaves them out too.
      }
    }
  }
}
