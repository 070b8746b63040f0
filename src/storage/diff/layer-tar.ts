/**
 * The tar of a difference, with the bytes that containerd's differ gives it (pkg/archive/tar.go, ChangeWriter): parents come
 * before what is in them, deletions are empty files `.wh.<name>` of time 0, times are whole seconds, of attributes only file
 * capabilities are kept, names of owners are not.
 */
import { readlinkSync } from 'node:fs';
import { fsPath, TAR_TRAILER, tarPadding, TarType, XATTR_RECORD } from '../../archive/index.ts';
import type { ByteString, TarHeader } from '../../archive/index.ts';
import { layerChanges, LayerTree, readXattr } from '../tree/index.ts';
import type { LayerDirs, TreeEntry } from '../tree/index.ts';
import { TarChunks } from './chunks.ts';
import { deviceOf } from './device.ts';
import { rootHeaders, streamHeader, WindowsDress } from './windows-dress.ts';
import type { DressedEntry } from './windows-dress.ts';
import type { ImageSystem } from '../types.ts';

const SECOND = 1_000_000_000n;
const WHITEOUT = '.wh.';

export interface LayerTarOptions {
  readonly lower: LayerDirs;
  readonly upper: LayerDirs;
  readonly clampMtimeNs?: bigint;
  readonly system?: ImageSystem;
}

/** Chunks of about 1 MiB. Synchronous. */
export function* layerTar(options: LayerTarOptions): Generator<Uint8Array> {
  const tar = new LayerTar(options);
  tar.roots();
  for (const change of layerChanges(options.lower, options.upper, { foldsCase: options.system === 'windows' })) {
    if (change.kind === 'delete') tar.whiteout(change.path);
    else yield* tar.entry(change.path, change.entry, change.kind === 'unmodified');
    yield* tar.chunks.full();
  }
  tar.chunks.push(TAR_TRAILER);
  yield* tar.chunks.end();
}

function whiteout(path: ByteString): TarHeader {
  const slash = path.lastIndexOf('/') + 1;
  const name = `${path.slice(0, slash)}${WHITEOUT}${path.slice(slash)}`;
  const nothing = { mode: 0, uid: 0, gid: 0, size: 0, mtimeNs: 0n, devmajor: 0, devminor: 0 };
  return { name, type: TarType.File, linkname: '', uname: '', gname: '', ...nothing };
}

class LayerTar {
  readonly chunks = new TarChunks();
  readonly #clampMtimeNs: bigint | undefined;
  readonly #upper: LayerTree;
  readonly #folders = new Set<ByteString>();
  /** Of files with several names: the one that has the data. */
  readonly #sources = new Map<string, ByteString>();
  /** Names of a file that did not change, in case another one did. */
  readonly #unmodified = new Map<string, ByteString[]>();
  readonly #windows: WindowsDress | undefined;

  constructor(options: LayerTarOptions) {
    this.#clampMtimeNs = options.clampMtimeNs;
    this.#upper = new LayerTree(options.upper);
    if (options.system === 'windows') this.#windows = new WindowsDress(this.#upper);
  }

  /** Before anything else. */
  roots(): void {
    if (this.#windows !== undefined) for (const header of rootHeaders()) this.chunks.header(header);
  }

  whiteout(path: ByteString): void {
    this.parents(path);
    const header = whiteout(path);
    this.chunks.header(this.#windows?.whiteout(header) ?? header);
  }

  *entry(path: ByteString, entry: TreeEntry, unmodified: boolean): Generator<Uint8Array> {
    const { stat } = entry;
    if (stat.isSocket()) return;
    const header = this.#header(path, entry);
    let source: ByteString | undefined;
    let others: readonly ByteString[] = [];
    if (!stat.isDirectory() && stat.nlink > 1n) {
      const inode = `${stat.dev}:${stat.ino}`;
      source = this.#sources.get(inode);
      if (source === undefined && unmodified) {
        this.#unmodified.set(inode, [...(this.#unmodified.get(inode) ?? []), path]);
        return;
      }
      if (source === undefined) {
        this.#sources.set(inode, path);
        others = this.#unmodified.get(inode) ?? [];
        this.#unmodified.delete(inode);
      }
    } else if (unmodified) return;
    this.parents(path);
    if (source !== undefined) {
      this.#link(header, path, source);
      return;
    }
    if (stat.isDirectory()) this.#folders.add(path);
    const dressed = this.#put(header, path, entry);
    if (header.type === TarType.File && header.size > 0) yield* this.chunks.file(entry.real, header.size);
    this.#putStreams(dressed);
    for (const other of others) {
      this.parents(other);
      this.#link(header, other, path);
    }
  }

  #put(header: TarHeader, path: ByteString, entry: TreeEntry): DressedEntry | undefined {
    const dressed = this.#windows?.entry(header, path, entry);
    this.chunks.header(dressed?.header ?? header);
    return dressed;
  }

  /** After the content of what they belong to. */
  #putStreams(dressed: DressedEntry | undefined): void {
    if (dressed === undefined) return;
    for (const [name, bytes] of dressed.streams) {
      this.chunks.header(streamHeader(dressed.header, name, bytes.length));
      this.chunks.push(bytes);
      this.chunks.push(tarPadding(bytes.length));
    }
  }

  #link(header: TarHeader, path: ByteString, source: ByteString): void {
    this.chunks.header(this.#windows?.link(header, path, source) ?? linkTo(header, path, source));
  }

  /** Folders above `path` that are not there yet. */
  parents(path: ByteString): void {
    const slash = path.lastIndexOf('/');
    if (slash < 0) return;
    const parent = path.slice(0, slash);
    if (this.#folders.has(parent)) return;
    this.#folders.add(parent);
    const entry = this.#upper.lookup(parent);
    if (entry === undefined)
      throw Object.assign(new Error(`ENOENT: no such file or directory, stat '${parent}'`), { code: 'ENOENT' });
    this.parents(parent);
    this.#putStreams(this.#put(this.#header(parent, entry), parent, entry));
  }

  #header(path: ByteString, { stat, real }: TreeEntry): TarHeader {
    const type = typeOf(stat);
    let mtimeNs = stat.mtimeNs;
    if (this.#clampMtimeNs !== undefined && mtimeNs > this.#clampMtimeNs) mtimeNs = this.#clampMtimeNs;
    // Windows knows no capabilities.
    const capability = this.#windows === undefined ? readXattr(real, 'security.capability') : undefined;
    const device = type === TarType.Char || type === TarType.Block ? deviceOf(stat.rdev) : undefined;
    const header: TarHeader = {
      name: type === TarType.Dir ? `${path}/` : path,
      type,
      mode: Number(stat.mode & 0o7777n),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      size: type === TarType.File ? Number(stat.size) : 0,
      mtimeNs: mtimeNs - (((mtimeNs % SECOND) + SECOND) % SECOND),
      linkname: type === TarType.Symlink ? readlinkSync(fsPath(real), 'latin1') : '',
      uname: '',
      gname: '',
      devmajor: device?.devmajor ?? 0,
      devminor: device?.devminor ?? 0,
      format: 'pax',
    };
    if (capability === undefined || capability.length === 0) return header;
    const record = Buffer.from(capability).toString('latin1');
    return { ...header, pax: new Map([[`${XATTR_RECORD}security.capability`, record]]) };
  }
}

function linkTo(header: TarHeader, name: ByteString, linkname: ByteString): TarHeader {
  return { ...header, name, type: TarType.Link, linkname, size: 0 };
}

function typeOf(stat: TreeEntry['stat']): string {
  if (stat.isDirectory()) return TarType.Dir;
  if (stat.isSymbolicLink()) return TarType.Symlink;
  if (stat.isCharacterDevice()) return TarType.Char;
  if (stat.isBlockDevice()) return TarType.Block;
  return stat.isFIFO() ? TarType.Fifo : TarType.File;
}
