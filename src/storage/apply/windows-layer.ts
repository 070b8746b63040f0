import { fromByteString, fsPath, TarType } from '../../archive/index.ts';
import type { ByteString, TarHeader, TarSink } from '../../archive/index.ts';
import {
  defaultAttributes,
  defaultDescriptor,
  describeFinding,
  encodeKeptRecords,
  isPlainTarget,
  KEPT_RECORDS,
  LayerRules,
  linkTargetOnLinux,
  MAX_KEPT_STREAMS,
  NOTHING_KEPT,
  ownedDescriptor,
  parseSecurityDescriptor,
  splitRoot,
} from '../../archive/windows/index.ts';
import type { FileRecords, KeptRecords, TreeSpelling } from '../../archive/windows/index.ts';
import { invalidArgument, wrapError } from '../../base/index.ts';
import { removeXattr, setXattr } from '../../host/index.ts';
import { accountOfSid } from '../../systems/index.ts';
import { LayerTree, spellingOf } from '../tree/index.ts';
import type { LayerDirs } from '../tree/index.ts';
import { TreeApplier } from './tree-applier.ts';
import type { ApplierOptions } from './tree-applier.ts';

const WHITEOUT = '.wh.';
/** The root in the names of links that BuildKit's daemons write. */
const FILES = 'Files/';

/** What an owner makes of a descriptor that says nothing else: then it need not be kept. */
interface Ownership {
  /** undefined: the descriptor is kept. */
  readonly id: number | undefined;
  readonly isDefault: boolean;
}

/** A file that was made, while its streams may follow. */
interface StreamHolder {
  readonly full: ByteString;
  readonly kept: KeptRecords;
  readonly streams: Map<ByteString, Buffer>;
  size: number;
}

/**
 * Makes the files of a Windows layer: those below `Files`, each by the name that the layers below have for it, its records
 * kept beside it. What breaks a rule ends the work.
 */
export class WindowsLayer implements TarSink {
  readonly #applier: TreeApplier;
  readonly #rules: LayerRules;
  readonly #spelling: TreeSpelling;
  /** By descriptor, which files share: first that of folders. */
  readonly #ownerships: readonly WeakMap<Uint8Array, Ownership>[] = [new WeakMap(), new WeakMap()];
  /** What the layers below brought is in the same directory. */
  readonly #hasOlder: boolean;
  /** Of the entry that is being made. */
  #kept: KeptRecords | undefined;
  /** It may have been there before. */
  #isOld = false;
  #skips = false;
  #holder: StreamHolder | undefined;
  /** What is being read into. */
  #stream: Buffer | undefined;

  constructor(options: ApplierOptions, layer: { readonly isBase: boolean }) {
    this.#rules = new LayerRules(layer, (finding) => {
      if (finding.fatal) throw invalidArgument(`invalid Windows layer: ${describeFinding(finding)}`);
    });
    this.#hasOlder = options.older;
    const isOverlay = options.whiteouts === 'overlay';
    const dirs: LayerDirs = [Buffer.from(options.target, 'latin1').toString('utf8'), ...options.parents];
    this.#spelling = spellingOf(new LayerTree(dirs, isOverlay));
    this.#applier = new TreeApplier({
      ...options,
      onMade: (_path, full) => this.#keep(full),
      onRemoved: () => this.#spelling.removed(),
    });
  }

  get size(): number {
    return this.#applier.size;
  }

  get entries(): number {
    return this.#applier.entries;
  }

  entry(header: TarHeader): void {
    const entry = this.#rules.entry(header);
    this.#skips = true;
    if (entry?.kind === 'stream') return this.#openStream(header, entry.stream);
    this.#keepStreams();
    if (entry === undefined || entry.root !== 'Files' || entry.path === '') return;
    this.#skips = false;
    const path = this.#spelling.of(entry.path);
    if (entry.kind === 'whiteout') {
      const slash = path.lastIndexOf('/') + 1;
      this.#applier.entry({ ...header, name: `${path.slice(0, slash)}${WHITEOUT}${path.slice(slash)}` });
      return;
    }
    const linkname = this.#linkname(header, entry.records);
    const isFolder = header.type === TarType.Dir;
    const { id, isDefault } = this.#ownership(entry.records.descriptor, isFolder);
    this.#isOld = isFolder && this.#hasOlder;
    this.#kept = header.type === TarType.Link ? undefined : keptOf(header, entry.records, isDefault);
    const { pax: _pax, ...rest } = header;
    this.#applier.entry({
      ...rest,
      name: path,
      linkname,
      // Windows has no such bits, and its own tools leave them out.
      mode: (header.mode & 0o777) === 0 ? (isFolder ? 0o755 : 0o644) : header.mode & 0o7777,
      ...(id === undefined ? {} : { uid: id, gid: id }),
    });
    this.#spelling.add(path);
  }

  data(bytes: Uint8Array, offset: number): void {
    this.#rules.data(bytes);
    this.#stream?.set(bytes, offset);
    if (!this.#skips) this.#applier.data(bytes, offset);
  }

  entryEnd(): void {
    this.#rules.entryEnd();
    this.#stream = undefined;
    if (!this.#skips) this.#applier.entryEnd();
  }

  finish(): void {
    this.#rules.finish();
    this.#keepStreams();
    this.#applier.finish();
  }

  close(): void {
    this.#applier.close();
  }

  /** Of what made no file, as the hives, nothing is kept. */
  #openStream({ name, size }: TarHeader, stream: ByteString): void {
    const holder = this.#holder;
    if (holder === undefined) return;
    holder.size += stream.length + size;
    if (holder.size > MAX_KEPT_STREAMS) {
      const shown = JSON.stringify(fromByteString(name));
      throw invalidArgument(`${shown}: a file can keep ${MAX_KEPT_STREAMS} bytes in alternate data streams here`);
    }
    this.#stream = Buffer.alloc(size);
    holder.streams.set(stream, this.#stream);
  }

  #keepStreams(): void {
    const holder = this.#holder;
    this.#holder = undefined;
    if (holder === undefined || holder.streams.size === 0) return;
    const value = encodeKeptRecords({ ...holder.kept, streams: holder.streams });
    if (value !== undefined) setKeptRecords(holder.full, value);
  }

  #linkname(header: TarHeader, records: FileRecords): ByteString {
    if (header.type === TarType.Link) return this.#spelling.of(splitRoot(header.linkname)?.path ?? '');
    if (header.type !== TarType.Symlink) return header.linkname;
    // BuildKit's daemons put the root before targets of links too, and they alone write links without attributes.
    const { linkname } = header;
    if (records.attributes === undefined && linkname.startsWith(FILES)) return linkname.slice(FILES.length);
    return linkTargetOnLinux(linkname);
  }

  /** Files that belong to an account of every Windows, and to which nothing else is special, have its id for owner. */
  #ownership(descriptor: Uint8Array | undefined, isFolder: boolean): Ownership {
    if (descriptor === undefined) return { id: undefined, isDefault: true };
    const ownerships = this.#ownerships[isFolder ? 0 : 1] as WeakMap<Uint8Array, Ownership>;
    let known = ownerships.get(descriptor);
    if (known === undefined) ownerships.set(descriptor, (known = ownershipOf(descriptor, isFolder)));
    return known;
  }

  #keep(full: ByteString): void {
    const kept = this.#kept;
    if (kept === undefined) return;
    this.#kept = undefined;
    this.#holder = { full, kept, streams: new Map(), size: 0 };
    const value = encodeKeptRecords(kept);
    if (value !== undefined) setKeptRecords(full, value);
    else if (this.#isOld) removeKeptRecords(full);
  }
}

function ownershipOf(descriptor: Uint8Array, isFolder: boolean): Ownership {
  const usual = defaultDescriptor(isFolder);
  if (usual.equals(descriptor)) return { id: undefined, isDefault: true };
  const { owner } = parseSecurityDescriptor(descriptor);
  const account = owner === undefined ? undefined : accountOfSid(owner);
  if (account === undefined || !ownedDescriptor(usual, account.sid, isFolder).equals(descriptor))
    return { id: undefined, isDefault: false };
  return { id: account.id, isDefault: true };
}

function keptOf(header: TarHeader, records: FileRecords, isDefault: boolean): KeptRecords {
  const isLink = header.type === TarType.Symlink;
  const { attributes, descriptor, isMountPoint, extendedAttributes } = records;
  return {
    ...NOTHING_KEPT,
    attributes: !isLink && attributes === defaultAttributes(header.type) ? undefined : attributes,
    descriptor: isDefault ? undefined : descriptor,
    isMountPoint,
    extendedAttributes,
    linkTarget: isLink && attributes !== undefined && !isPlainTarget(header.linkname) ? header.linkname : undefined,
  };
}

/** Where file systems or rights do not allow it, it goes without: only links in user namespaces and odd file systems do. */
export function setKeptRecords(full: ByteString, value: Uint8Array): void {
  for (const name of KEPT_RECORDS) {
    try {
      setXattr(fsPath(full), name, value);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPERM' || code === 'ENOTSUP' || code === 'EOPNOTSUPP') continue;
      throw wrapError(
        error,
        `failed to keep the Windows records of ${JSON.stringify(fromByteString(full))}, ${value.length} bytes in one attribute`,
      );
    }
  }
}

function removeKeptRecords(full: ByteString): void {
  for (const name of KEPT_RECORDS) {
    try {
      removeXattr(fsPath(full), name);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP') throw error;
    }
  }
}
