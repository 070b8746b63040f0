import { fromByteString, fsPath, TarType } from '../../archive/index.ts';
import type { ByteString, TarHeader } from '../../archive/index.ts';
import {
  decodeKeptRecords,
  defaultAttributes,
  defaultDescriptor,
  FileAttribute,
  foldName,
  formatCreationTime,
  KEPT_RECORDS,
  linkTargetOnLinux,
  nameFault,
  NOTHING_KEPT,
  ownedDescriptor,
  writeFileRecords,
} from '../../archive/windows/index.ts';
import type { KeptRecords, TreeSpelling } from '../../archive/windows/index.ts';
import { BuildError, Code, invalidArgument } from '../../base/index.ts';
import { listXattrs } from '../../host/index.ts';
import { accountOfId } from '../../systems/index.ts';
import { readXattr, spellingOf } from '../tree/index.ts';
import type { LayerTree, TreeEntry } from '../tree/index.ts';

const FILES = 'Files';
/** Bits of the type in a mode, which Windows' own tools write too. */
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const LAYER_TYPES: readonly string[] = [TarType.File, TarType.Dir, TarType.Symlink, TarType.Link];

/** What a Windows layer begins with. They are in every layer and never change, so they have no time of their own. */
export function rootHeaders(): readonly TarHeader[] {
  return ['Hives', FILES].map((name) => {
    const nothing = {
      uid: 0,
      gid: 0,
      size: 0,
      mtimeNs: 0n,
      linkname: '',
      uname: '',
      gname: '',
      devmajor: 0,
      devminor: 0,
    };
    const pax = writeFileRecords({
      ...NOTHING_KEPT,
      attributes: FileAttribute.Directory,
      creationTime: formatCreationTime(0n),
    });
    return { name, type: TarType.Dir, mode: S_IFDIR, ...nothing, format: 'pax', pax };
  });
}

/** An entry as Windows wants it, and what is to follow its content. */
export interface DressedEntry {
  readonly header: TarHeader;
  readonly streams: ReadonlyMap<ByteString, Uint8Array>;
}

/** Of an alternate data stream: right behind its file, which alone has records. */
export function streamHeader({ pax: _pax, ...holder }: TarHeader, stream: ByteString, size: number): TarHeader {
  return { ...holder, name: `${holder.name}:${stream}`, type: TarType.File, linkname: '', size };
}

/** The names that a layer has. A folder is told of before what is in it, so each is held against its neighbours alone. */
class LayerNames {
  /** By folder: folded names, and how the layer spells them. */
  readonly #folders = new Map<ByteString, Map<string, ByteString>>();
  #folder: ByteString | undefined;
  #names = new Map<string, ByteString>();

  /** Throws InvalidArgument for a name that Windows cannot have, and for one that it takes for another. */
  add(path: ByteString): void {
    const slash = path.lastIndexOf('/');
    const folder = path.slice(0, Math.max(0, slash));
    const name = path.slice(slash + 1);
    const shown = (p: ByteString): string => JSON.stringify(fromByteString(p));
    const fault = nameFault(name);
    if (fault !== undefined)
      throw invalidArgument(`${shown(path)} cannot be in a Windows layer: ${shown(name)} ${fault}`);
    if (folder !== this.#folder) this.#enter(folder);
    const folded = foldName(name);
    const same = this.#names.get(folded);
    if (same === undefined) this.#names.set(folded, name);
    else if (same !== name) {
      const other = folder === '' ? same : `${folder}/${same}`;
      throw invalidArgument(`${shown(path)} cannot be in a Windows layer: it is the same file as ${shown(other)}`);
    }
  }

  #enter(folder: ByteString): void {
    this.#names = this.#folders.get(folder) ?? new Map<string, ByteString>();
    this.#folders.set(folder, this.#names);
    this.#folder = folder;
  }
}

/** Gives the entries of a layer what Windows wants of them: their place below `Files`, and their records. */
export class WindowsDress {
  readonly #upper: LayerTree;
  readonly #spelling: TreeSpelling;
  readonly #names = new LayerNames();
  readonly #owned = new Map<string, Buffer>();
  /** Of the entry before: the next one often has the same. */
  #creation = { ns: 0n, text: formatCreationTime(0n) };

  constructor(upper: LayerTree) {
    this.#upper = upper;
    this.#spelling = spellingOf(upper);
  }

  whiteout(header: TarHeader): TarHeader {
    return {
      ...header,
      name: `${FILES}/${header.name}`,
      mode: S_IFREG,
      pax: this.#records(NOTHING_KEPT, undefined, FileAttribute.Archive, header),
      format: 'pax',
    };
  }

  /** Throws InvalidArgument for what Windows cannot have. `path` is the entry's, without a slash at its end. */
  entry(header: TarHeader, path: ByteString, { real }: TreeEntry): DressedEntry {
    this.#names.add(path);
    const { type } = header;
    if (!LAYER_TYPES.includes(type))
      throw invalidArgument(`${JSON.stringify(fromByteString(path))} is of a kind that Windows has no files of`);
    const kept = keptRecords(real, path);
    const linkname =
      kept.linkTarget !== undefined && linkTargetOnLinux(kept.linkTarget) === header.linkname
        ? kept.linkTarget
        : header.linkname;
    const attributes =
      type === TarType.Symlink
        ? (kept.attributes ?? this.#linkAttributes(path, header.linkname))
        : (kept.attributes ?? defaultAttributes(type));
    const account = accountOfId(header.uid);
    const dressed: TarHeader = {
      ...header,
      // The names of a folder's streams begin with its own, which has no slash then.
      name: `${FILES}/${kept.streams.size === 0 ? header.name : path}`,
      linkname,
      mode: header.mode | typeBits(type),
      uid: account === undefined ? header.uid : 0,
      gid: account === undefined ? header.gid : 0,
      pax: this.#records(kept, account?.sid, attributes, header),
      format: 'pax',
    };
    return { header: dressed, streams: kept.streams };
  }

  /** Another name of a file of the layer: the importer reads nothing but the two names. */
  link(header: TarHeader, path: ByteString, source: ByteString): TarHeader {
    this.#names.add(path);
    const { pax: _pax, ...rest } = header;
    return {
      ...rest,
      name: `${FILES}/${path}`,
      type: TarType.Link,
      linkname: `${FILES}/${source}`,
      size: 0,
      mode: 0o644,
    };
  }

  #records(
    kept: KeptRecords,
    owner: string | undefined,
    attributes: number,
    { type, mtimeNs }: TarHeader,
  ): ReadonlyMap<ByteString, ByteString> {
    const isFolder = type === TarType.Dir || (attributes & FileAttribute.Directory) !== 0;
    if (mtimeNs !== this.#creation.ns) this.#creation = { ns: mtimeNs, text: formatCreationTime(mtimeNs) };
    return writeFileRecords({
      attributes,
      descriptor: this.#descriptor(kept.descriptor, owner, isFolder),
      isMountPoint: kept.isMountPoint,
      extendedAttributes: kept.extendedAttributes,
      creationTime: this.#creation.text,
    });
  }

  #descriptor(kept: Uint8Array | undefined, owner: string | undefined, isFolder: boolean): Uint8Array {
    const base = kept ?? defaultDescriptor(isFolder);
    if (owner === undefined) return base;
    const key = `${owner} ${isFolder} ${kept === undefined ? '' : Buffer.from(kept).toString('latin1')}`;
    let owned = this.#owned.get(key);
    if (owned === undefined) {
      owned = ownedDescriptor(base, owner, isFolder);
      if (this.#owned.size >= 1024) this.#owned.clear();
      this.#owned.set(key, owned);
    }
    return owned;
  }

  /** A link to a folder is a folder too. */
  #linkAttributes(path: ByteString, linkname: ByteString): number {
    const target = linkTargetOnLinux(linkname);
    // A client's link may name the drive or have backslashes, which Linux does not follow.
    const from = target.startsWith('/') ? '' : path.slice(0, path.lastIndexOf('/') + 1);
    const leads = this.#leadsToFolder(target === linkname ? path : from + target);
    return FileAttribute.ReparsePoint | (leads ? FileAttribute.Directory : FileAttribute.Archive);
  }

  #leadsToFolder(path: ByteString): boolean {
    try {
      return this.#upper.resolve(path, true, this.#spelling).entry?.folder !== undefined;
    } catch (error) {
      // One that leads to itself leads nowhere.
      if (error instanceof BuildError && error.code === Code.Unknown) return false;
      throw error;
    }
  }
}

function typeBits(type: string): number {
  return type === TarType.Dir ? S_IFDIR : type === TarType.File ? S_IFREG : 0;
}

function keptRecords(real: ByteString, path: ByteString): KeptRecords {
  // One call for a file that has none, as most.
  const there = listXattrs(fsPath(real));
  for (const name of KEPT_RECORDS) {
    const value = there.includes(name) ? readXattr(real, name) : undefined;
    if (value === undefined) continue;
    try {
      return decodeKeptRecords(Buffer.from(value));
    } catch {
      throw invalidArgument(`${JSON.stringify(fromByteString(path))}: attribute ${name} is not this daemon's`);
    }
  }
  return NOTHING_KEPT;
}
