/**
 * The rules of a Windows layer, as hcsshim's importer (pkg/ociwclayer) and the file system below it have them. Entries go in one
 * by one, findings come out at once: an applier stops at the first that is fatal, a check lists them all.
 */
import { fromByteString } from '../byte-string.ts';
import type { ByteString } from '../byte-string.ts';
import { TarType } from '../tar-header.ts';
import type { TarHeader } from '../tar-header.ts';
import { escapeFault, foldName, pathFault, streamFault } from './names.ts';
import { FileAttribute, hasWindowsRecords, readFileRecords } from './records.ts';
import type { FileRecords } from './records.ts';

/** Each rule that can be broken. */
export type LayerRule =
  | 'linux-layer'
  | 'name'
  | 'root'
  | 'collision'
  | 'parent'
  | 'type'
  | 'attributes'
  | 'records'
  | 'whiteout'
  | 'whiteout-in-base'
  | 'link'
  | 'hive';

export interface LayerFinding {
  readonly rule: LayerRule;
  /** The entry, as the layer has it; '' is the layer as a whole. */
  readonly entry: string;
  /** What is wrong, as a sentence without its subject: `is the name of a device`. */
  readonly problem: string;
  /** Not fatal: Windows refuses the layer or loses something of it, but what it says of files is clear. */
  readonly fatal: boolean;
}

export interface LayerRulesOptions {
  /** It is the first of its image: there is nothing that it could delete. */
  readonly isBase: boolean;
}

const ROOTS = ['Files', 'Hives', 'UtilityVM'] as const;
export type LayerRoot = (typeof ROOTS)[number];

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
const HIVE_MAGIC = 'regf';
/** The header of a hive: nothing shorter is one. */
const HIVE_HEADER = 4096;

/** As one sentence for people. */
export function describeFinding({ entry, problem }: LayerFinding): string {
  return entry === '' ? `the layer ${problem}` : `${JSON.stringify(entry)} ${problem}`;
}

/** What an entry is, once the rules have read it. */
export interface WindowsEntry {
  readonly root: LayerRoot;
  /** Below the root, without slashes around it; '' is the root itself. */
  readonly path: ByteString;
  /** A whiteout's `path` is that of what it deletes, a stream's that of the entry before, which it belongs to. */
  readonly kind: 'entry' | 'whiteout' | 'stream';
  /** Name of the stream; '' for others. */
  readonly stream: ByteString;
  readonly records: FileRecords;
}

/** What alternate data streams may follow. */
interface StreamHolder {
  readonly name: ByteString;
  readonly root: LayerRoot;
  readonly path: ByteString;
  /** Folded names of those that came. */
  readonly streams: Set<string>;
}

interface OpenHive {
  readonly entry: string;
  readonly size: number;
  begin: string;
}

/** The root and the rest of an entry's name; undefined for other names. */
export function splitRoot(name: ByteString): { readonly root: LayerRoot; readonly path: ByteString } | undefined {
  const clean = name.replace(/\/$/, '');
  const slash = clean.indexOf('/');
  const first = slash < 0 ? clean : clean.slice(0, slash);
  const root = ROOTS.find((r) => r === first);
  return root === undefined ? undefined : { root, path: slash < 0 ? '' : clean.slice(slash + 1) };
}

/** Does it look as if it came from a Windows layer, whatever it is part of? */
export function isWindowsEntry(header: TarHeader): boolean {
  return hasWindowsRecords(header.pax) && splitRoot(header.name) !== undefined;
}

export class LayerRules {
  readonly #isBase: boolean;
  readonly #report: (finding: LayerFinding) => void;
  /** Folded paths that the layer has brought, with the names that it gave them. */
  readonly #seen = new Map<string, ByteString>();
  #isWindows = false;
  #hive: OpenHive | undefined;
  #holder: StreamHolder | undefined;

  /** `report` may throw to end the reading. */
  constructor(options: LayerRulesOptions, report: (finding: LayerFinding) => void) {
    this.#isBase = options.isBase;
    this.#report = report;
  }

  /** undefined: an entry that is not to be looked at further. */
  entry(header: TarHeader): WindowsEntry | undefined {
    const name = fromByteString(header.name);
    const find = (rule: LayerRule, problem: string, fatal = true): void =>
      this.#report({ rule, entry: name, problem, fatal });
    const holder = this.#holder;
    if (holder !== undefined && header.type === TarType.File && header.name.startsWith(`${holder.name}:`))
      return this.#stream(header, holder, find);
    this.#holder = undefined;
    const place = splitRoot(header.name);
    // Names elsewhere do not become files: a layer of another system is told by its roots, not by the first of its names.
    const fault = place === undefined ? escapeFault(header.name) : pathFault(header.name);
    if (fault !== undefined) {
      find('name', fault);
      return undefined;
    }
    if (place === undefined) {
      find('root', `is not below ${ROOTS.join(', ')}`, false);
      return undefined;
    }
    this.#isWindows = true;
    const records = this.#records(header, find);
    if (records === undefined) return undefined;
    const base = place.path.slice(place.path.lastIndexOf('/') + 1);
    if (base.startsWith(WHITEOUT)) return this.#whiteout(place.root, place.path, base, records, find);
    if (!this.#admit(header, find)) return undefined;
    this.#checkKind(header, records, place.root, place.path, find);
    if (header.type !== TarType.Link) this.#holder = { ...place, name: header.name, streams: new Set() };
    return { ...place, kind: 'entry', stream: '', records };
  }

  /** As Windows' exporter writes them: right behind the entry that they belong to, whose name theirs begin with. */
  #stream(
    header: TarHeader,
    { name, root, path, streams }: StreamHolder,
    find: (rule: LayerRule, problem: string) => void,
  ): WindowsEntry | undefined {
    const stream = header.name.slice(name.length + 1);
    const fault = streamFault(stream);
    if (fault !== undefined) {
      find('name', fault);
      return undefined;
    }
    const folded = foldName(stream);
    if (streams.has(folded)) {
      find('collision', 'is in the layer twice');
      return undefined;
    }
    streams.add(folded);
    const records = this.#records(header, find);
    return records === undefined ? undefined : { root, path, kind: 'stream', stream, records };
  }

  data(bytes: Uint8Array): void {
    const hive = this.#hive;
    if (hive === undefined || hive.begin.length >= HIVE_MAGIC.length) return;
    hive.begin += Buffer.from(bytes.subarray(0, HIVE_MAGIC.length - hive.begin.length)).toString('latin1');
  }

  entryEnd(): void {
    const hive = this.#hive;
    this.#hive = undefined;
    if (hive === undefined || (hive.begin === HIVE_MAGIC && hive.size >= HIVE_HEADER)) return;
    this.#report({ rule: 'hive', entry: hive.entry, problem: 'is no registry hive', fatal: true });
  }

  /** After the last entry. */
  finish(): void {
    if (this.#isWindows) return;
    this.#report({
      rule: 'linux-layer',
      entry: '',
      problem: `has no ${ROOTS.join(', ')}: it is not for Windows`,
      fatal: true,
    });
  }

  #records(header: TarHeader, find: (rule: LayerRule, problem: string) => void): FileRecords | undefined {
    try {
      return readFileRecords(header.pax);
    } catch (error) {
      find('records', `has records that Windows does not take: ${(error as Error).message}`);
      return undefined;
    }
  }

  #whiteout(
    root: LayerRoot,
    path: ByteString,
    base: ByteString,
    records: FileRecords,
    find: (rule: LayerRule, problem: string, fatal?: boolean) => void,
  ): WindowsEntry | undefined {
    if (base === OPAQUE) {
      find('whiteout', 'hides a whole folder, which Windows does not know: every name must be deleted by its own');
      return undefined;
    }
    const hidden = base.slice(WHITEOUT.length);
    const fault = pathFault(hidden);
    if (fault !== undefined || root === 'Hives' || hidden.startsWith(WHITEOUT)) {
      find('whiteout', 'deletes what no file can be');
      return undefined;
    }
    if (this.#isBase) {
      find('whiteout-in-base', 'deletes a file, but there is no layer below');
      return undefined;
    }
    return { root, path: path.slice(0, path.length - base.length) + hidden, kind: 'whiteout', stream: '', records };
  }

  /** Once for each name, after the folder that it is in. */
  #admit(header: TarHeader, find: (rule: LayerRule, problem: string, fatal?: boolean) => void): boolean {
    const path = header.name.replace(/\/$/, '');
    const folded = foldName(path);
    const before = this.#seen.get(folded);
    if (before !== undefined) {
      find(
        'collision',
        before === path ? 'is in the layer twice' : `is the same file as ${JSON.stringify(fromByteString(before))}`,
      );
      return false;
    }
    this.#seen.set(folded, path);
    this.#checkParent(path, folded, find);
    return true;
  }

  #checkParent(
    path: ByteString,
    folded: string,
    find: (rule: LayerRule, problem: string, fatal?: boolean) => void,
  ): void {
    const slash = path.lastIndexOf('/');
    if (slash < 0) return;
    const parent = path.slice(0, slash);
    const known = this.#seen.get(folded.slice(0, folded.lastIndexOf('/')));
    if (known === undefined) find('parent', 'comes before the folder that it is in', false);
    else if (known !== parent)
      find('collision', `is in a folder that the layer also calls ${JSON.stringify(fromByteString(known))}`);
  }

  #checkKind(
    header: TarHeader,
    { attributes }: FileRecords,
    root: LayerRoot,
    path: ByteString,
    find: (rule: LayerRule, problem: string, fatal?: boolean) => void,
  ): void {
    const { type } = header;
    const isFile = type === TarType.File || type === TarType.Contiguous || type === TarType.GnuSparse;
    if (path === '' && type !== TarType.Dir) find('type', 'is no folder');
    if (type === TarType.Link) this.#checkLink(header, root, find);
    else if (type !== TarType.Dir && type !== TarType.Symlink && !isFile)
      find('type', 'is of a kind that Windows has no files of');
    if (attributes !== undefined && (type === TarType.Dir || isFile)) {
      const says = (attributes & FileAttribute.Directory) !== 0;
      if (says !== (type === TarType.Dir))
        find(
          'attributes',
          says ? 'is no folder, but its attributes say so' : 'is a folder, but its attributes do not say so',
        );
    }
    if (root === 'Hives' && path !== '' && isFile)
      this.#hive = { entry: fromByteString(header.name), size: header.size, begin: '' };
  }

  #checkLink(
    header: TarHeader,
    root: LayerRoot,
    find: (rule: LayerRule, problem: string, fatal?: boolean) => void,
  ): void {
    const target = pathFault(header.linkname) === undefined ? splitRoot(header.linkname) : undefined;
    if (target === undefined || target.path === '' || target.root !== root || root === 'Hives')
      find('link', `is a link to ${JSON.stringify(fromByteString(header.linkname))}, which is no file of a layer`);
  }
}
