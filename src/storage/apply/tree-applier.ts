import {
  closeSync,
  constants,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { fromByteString, fsPath, TarType } from '../../archive/index.ts';
import type { ByteString, TarHeader, TarSink } from '../../archive/index.ts';
import { BuildError, Code, invalidArgument } from '../../base/index.ts';
import { mknod, setXattr } from '../../host/index.ts';
import { isWhiteout, LayerTree, lstatEntry } from '../tree/index.ts';
import type { LayerDirs } from '../tree/index.ts';
import {
  copyFolderAttributes,
  inUserNamespace,
  isFolder,
  setEntryTimes,
  setMode,
  setOwner,
  setXattrs,
} from './attributes.ts';
import { baseOf, cleanName, parentOf, TargetPaths } from './target-paths.ts';

const WHITEOUT = '.wh.';
const META = '.wh..wh.';
const OPAQUE = '.wh..wh..opq';
const S_IFIFO = 0o010000;
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;

export interface ApplierOptions {
  readonly target: ByteString;
  /** `literal`: names that begin with `.wh.` are files like others. */
  readonly whiteouts: 'overlay' | 'delete' | 'literal';
  readonly parents: LayerDirs;
  /** With `delete`: there may be files that are not the archive's. */
  readonly older: boolean;
  readonly userxattr: boolean;
  /** Of everything written; `keep` is the archive's, `own` that of this process. */
  readonly owner: { readonly uid: number; readonly gid: number } | 'keep' | 'own';
  /** Attributes that may not be set are left out. */
  readonly bestEffortXattrs: boolean;
  /** Called for each entry that is made: for what a tar's header has no fields for. */
  readonly onMade?: (path: ByteString, full: ByteString) => void;
  /** Called when something was removed. */
  readonly onRemoved?: () => void;
}

interface OpenFile {
  readonly header: TarHeader;
  readonly path: ByteString;
  readonly fd: number;
  length: number;
}

/**
 * Makes an archive's entries below a folder that nobody else writes to. With `overlay` the folder is an upperdir: deletions
 * hide what the layers below have, and never what the same archive brings. Call {@link finish} in the end, and
 * {@link close} in any case.
 */
export class TreeApplier implements TarSink {
  /** Sum of the entries' sizes. */
  size = 0;
  entries = 0;
  readonly #options: ApplierOptions;
  readonly #paths: TargetPaths;
  readonly #below: LayerTree;
  /** What comes into a folder changes its time, so that is set in the end. */
  readonly #folderTimes = new Map<ByteString, Pick<TarHeader, 'mtimeNs' | 'atimeNs'>>();
  /** What this archive has brought: only kept where an opaque folder must spare it. */
  readonly #brought: Set<ByteString> | undefined;
  #file: OpenFile | undefined;

  constructor(options: ApplierOptions) {
    this.#options = options;
    this.#paths = new TargetPaths(options.target);
    this.#below = new LayerTree(options.parents);
    this.#brought = options.whiteouts === 'delete' && options.older ? new Set() : undefined;
  }

  entry(header: TarHeader): void {
    this.entries++;
    this.size += header.size;
    const name = cleanName(header.name);
    if (name === '') return;
    const isDevice = header.type === TarType.Char || header.type === TarType.Block;
    if (isDevice && inUserNamespace()) return;
    const path = this.#paths.resolve(name);
    this.#makeFolders(parentOf(path));
    const base = baseOf(path);
    if (base.startsWith(WHITEOUT) && this.#options.whiteouts !== 'literal') {
      this.#whiteout(path, base);
      return;
    }
    const replaces = this.#makeRoom(path, header.type);
    this.#brought?.add(path);
    this.#create(path, header);
    if (replaces === 'whiteout' && header.type === TarType.Dir) this.#setOpaque(path);
  }

  data(bytes: Uint8Array, offset: number): void {
    const file = this.#file;
    if (file === undefined) return;
    for (let at = 0; at < bytes.length;) at += writeSync(file.fd, bytes, at, bytes.length - at, offset + at);
    file.length = offset + bytes.length;
  }

  entryEnd(): void {
    const file = this.#file;
    if (file === undefined) return;
    try {
      if (file.length !== file.header.size) ftruncateSync(file.fd, file.header.size);
      this.#setAttributes(file.path, file.header, file.fd);
    } finally {
      this.close();
    }
  }

  /** Gives folders their times. */
  finish(): void {
    for (const [path, header] of this.#folderTimes) {
      const full = this.#paths.full(path);
      if (isFolder(full)) setEntryTimes(full, header);
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  /** Folders that the archive does not list, with the attributes that they have below. */
  #makeFolders(path: ByteString): void {
    if (path === '') return;
    const full = this.#paths.full(path);
    const stat = lstatEntry(full);
    if (stat?.isDirectory() === true) return;
    if (stat !== undefined && !(this.#options.whiteouts === 'overlay' && isWhiteout(stat)))
      throw new BuildError(Code.Unknown, `mkparent ${fromByteString(full)}: not a directory`);
    this.#makeFolders(parentOf(path));
    if (stat !== undefined) rmSync(fsPath(full));
    mkdirSync(fsPath(full), 0o755);
    if (stat !== undefined) this.#setOpaque(path);
    const below = this.#below.resolve(path, true).entry;
    if (below?.folder === undefined || stat !== undefined) {
      setMode(full, undefined, 0o755);
      return;
    }
    copyFolderAttributes(below.real, below.stat, full, this.#options.owner === 'keep');
    this.#folderTimes.set(path, { mtimeNs: below.stat.mtimeNs, atimeNs: below.stat.atimeNs });
  }

  #whiteout(path: ByteString, base: ByteString): void {
    const folder = parentOf(path);
    if (base === OPAQUE) {
      if (this.#options.whiteouts === 'overlay') this.#hideOlder(folder);
      else this.#deleteOlder(folder);
      return;
    }
    // Notes of AUFS for itself.
    if (base.startsWith(META)) return;
    const hidden = base.slice(WHITEOUT.length);
    if (hidden === '' || hidden === '.' || hidden === '..')
      throw invalidArgument(`invalid whiteout name: ${fromByteString(base)}: invalid archive`);
    const target = folder === '' ? hidden : `${folder}/${hidden}`;
    if (this.#options.whiteouts === 'delete') this.#remove(target);
    else this.#hide(target);
  }

  /** What this archive has brought already stays: only what is below is hidden. */
  #hide(path: ByteString): void {
    const full = this.#paths.full(path);
    const stat = lstatEntry(full);
    if (stat === undefined) {
      mknod(fsPath(full), S_IFCHR, 0, 0);
      this.#options.onRemoved?.();
    } else if (stat.isDirectory()) this.#setOpaque(path);
  }

  #hideOlder(folder: ByteString): void {
    if (folder !== '') {
      this.#setOpaque(folder);
      return;
    }
    // The kernel takes no notice of the mark on the root.
    const { root } = this.#below;
    for (const name of this.#below.names(root)) if (this.#below.find(root, name) !== undefined) this.#hide(name);
  }

  #setOpaque(path: ByteString): void {
    const name = this.#options.userxattr ? 'user.overlay.opaque' : 'trusted.overlay.opaque';
    setXattr(fsPath(this.#paths.full(path)), name, Buffer.from('y'));
  }

  #deleteOlder(folder: ByteString): void {
    const brought = this.#brought;
    if (brought === undefined) return;
    const visit = (path: ByteString): boolean => {
      let keeps = false;
      for (const name of readdirSync(fsPath(this.#paths.full(path)), { encoding: 'latin1' })) {
        const at = path === '' ? name : `${path}/${name}`;
        const below = lstatSync(fsPath(this.#paths.full(at))).isDirectory() && visit(at);
        if (below || brought.has(at)) keeps = true;
        else this.#remove(at);
      }
      return keeps;
    };
    visit(folder);
  }

  #remove(path: ByteString): void {
    rmSync(fsPath(this.#paths.full(path)), { recursive: true, force: true });
    this.#paths.changed();
    this.#options.onRemoved?.();
  }

  /** Only folders stay, for folders. */
  #makeRoom(path: ByteString, type: string): 'nothing' | 'whiteout' | 'entry' {
    const stat = lstatEntry(this.#paths.full(path));
    if (stat === undefined) return 'nothing';
    if (stat.isDirectory() && type === TarType.Dir) return 'entry';
    this.#remove(path);
    return this.#options.whiteouts === 'overlay' && isWhiteout(stat) ? 'whiteout' : 'entry';
  }

  #create(path: ByteString, header: TarHeader): void {
    const full = this.#paths.full(path);
    const at = fsPath(full);
    switch (header.type) {
      case TarType.Dir:
        if (!isFolder(full)) mkdirSync(at, 0o700);
        this.#folderTimes.set(path, header);
        break;
      case TarType.File:
      case TarType.Contiguous:
      case TarType.GnuSparse: {
        const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
        this.#file = { header, path, fd: openSync(at, flags, 0o600), length: 0 };
        return;
      }
      case TarType.Link:
        this.#link(path, header);
        break;
      case TarType.Symlink:
        symlinkSync(Buffer.from(header.linkname, 'latin1'), at);
        this.#paths.changed();
        break;
      case TarType.Char:
        mknod(at, S_IFCHR | (header.mode & 0o7777), header.devmajor, header.devminor);
        break;
      case TarType.Block:
        mknod(at, S_IFBLK | (header.mode & 0o7777), header.devmajor, header.devminor);
        break;
      case TarType.Fifo:
        mknod(at, S_IFIFO | (header.mode & 0o7777), 0, 0);
        break;
      default:
        throw invalidArgument(`unhandled tar header type ${header.type.charCodeAt(0)}`);
    }
    this.#setAttributes(path, header, undefined);
  }

  /** A link to a link is one more name of that link, not of what it points at. */
  #link(path: ByteString, header: TarHeader): void {
    const target = this.#paths.resolve(cleanName(header.linkname));
    if (target === '') throw invalidArgument(`link ${fromByteString(path)}: invalid target`);
    linkSync(fsPath(this.#paths.full(target)), fsPath(this.#paths.full(path)));
  }

  #setAttributes(path: ByteString, header: TarHeader, fd: number | undefined): void {
    const full = this.#paths.full(path);
    const { owner } = this.#options;
    if (owner === 'keep') setOwner(full, fd, header.uid, header.gid);
    else if (owner !== 'own') setOwner(full, fd, owner.uid, owner.gid);
    setXattrs(full, header, this.#options.bestEffortXattrs);
    this.#options.onMade?.(path, full);
    const isLink =
      header.type === TarType.Symlink || (header.type === TarType.Link && lstatEntry(full)?.isSymbolicLink() === true);
    if (!isLink) setMode(full, fd, header.mode & 0o7777);
    setEntryTimes(full, header);
  }
}
