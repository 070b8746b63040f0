/**
 * Tar entries as bytes, in the form that Go's archive/tar gives them: layers made here have the bytes, and so the digests, of
 * layers made there. The plainest format that holds an entry is taken: ustar, then PAX, then GNU.
 */
import { invalidArgument } from '../base/index.ts';
import { isAscii } from './byte-string.ts';
import type { ByteString } from './byte-string.ts';
import { formatPaxRecord, formatPaxTime, isValidPaxRecord } from './pax.ts';
import {
  BLOCK,
  Field,
  fitsOctal,
  MAGIC_GNU,
  MAGIC_USTAR,
  sealBlock,
  writeNumeric,
  writeOctal,
  writeString,
} from './tar-fields.ts';
import type { Place } from './tar-fields.ts';
import { isHeaderOnly, TarType } from './tar-header.ts';
import type { TarFormat, TarHeader } from './tar-header.ts';

/** The two zero blocks that end an archive. */
export const TAR_TRAILER: Uint8Array = new Uint8Array(2 * BLOCK);

const ZEROS = new Uint8Array(BLOCK);

/** Zero bytes that fill up the last block of `size` bytes of data. Not to be written to: all are the same ones. */
export function tarPadding(size: number): Uint8Array {
  return ZEROS.subarray(0, paddingOf(size));
}

function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** Keys that the header's own fields stand for: a record of the caller's must not contradict them. */
const OWN_KEYS = new Set(['path', 'linkpath', 'size', 'uid', 'gid', 'uname', 'gname', 'mtime', 'atime', 'ctime']);

/** Seconds below a time, and whether it has a fraction. */
function seconds(ns: bigint): { value: number; fraction: boolean } {
  const rest = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { value: Number((ns - rest) / 1_000_000_000n), fraction: rest !== 0n };
}

// oxlint-disable-next-line no-control-regex
const NOT_PLAIN = /[^\x01-\x7f]/;

/** ASCII without zero bytes. */
function isPlain(text: ByteString): boolean {
  return text === '' || !NOT_PLAIN.test(text);
}

/** Which formats can hold an entry, and the PAX records that it would need. */
class Encoding {
  ustar = true;
  pax = true;
  gnu = true;
  /** By key, each key once. */
  readonly records: Array<readonly [key: ByteString, value: ByteString]> = [];
  /** Seconds of the modification. */
  readonly mtime: number;
  #preferPax = false;

  constructor(header: TarHeader) {
    this.#text(header.name, 100, 'path');
    this.#text(header.linkname, 100, 'linkpath');
    this.#text(header.uname, 32, 'uname');
    this.#text(header.gname, 32, 'gname');
    this.#number(header.mode, 8);
    this.#number(header.uid, 8, 'uid');
    this.#number(header.gid, 8, 'gid');
    this.#number(header.size, 12, 'size');
    this.#number(header.devmajor, 8);
    this.#number(header.devminor, 8);
    this.mtime = this.#time(header.mtimeNs, 'mtime');
    if (header.atimeNs !== undefined) this.#time(header.atimeNs, 'atime');
    if (header.ctimeNs !== undefined) this.#time(header.ctimeNs, 'ctime');
    if (header.pax !== undefined && header.pax.size > 0) this.#add(header.pax);
    for (const [key, value] of this.records) this.pax &&= isValidPaxRecord(key, value);
    if (header.format !== undefined) this.#restrict(header.format);
  }

  #text(value: ByteString, size: number, key: string): void {
    const long = value.length > size;
    if (!long && isPlain(value)) return;
    if (value.includes('\0') || (long && key !== 'path' && key !== 'linkpath')) this.gnu = false;
    if (key !== 'path' || splitUstarName(value) === undefined) this.ustar = false;
    this.records.push([key, value]);
  }

  #number(value: number, size: number, key?: string): void {
    if (fitsOctal(size, value)) return;
    if (size < 9 && !(value >= -(2 ** ((size - 1) * 8)) && value < 2 ** ((size - 1) * 8))) this.gnu = false;
    this.ustar = false;
    if (key === undefined) this.pax = false;
    else this.records.push([key, String(value)]);
  }

  #time(ns: bigint, key: string): number {
    const { value, fraction } = seconds(ns);
    const plain = key === 'mtime' && fitsOctal(12, value);
    if (!plain) this.ustar = false;
    if (!plain || fraction) {
      this.#preferPax = true;
      this.records.push([key, formatPaxTime(ns)]);
    }
    return value;
  }

  #add(pax: ReadonlyMap<ByteString, ByteString>): void {
    for (const record of pax)
      if (!OWN_KEYS.has(record[0]) && !record[0].startsWith('GNU.sparse.')) this.records.push(record);
    this.ustar = this.gnu = false;
  }

  #restrict(format: TarFormat): void {
    this.ustar &&= format === 'ustar' || (format === 'pax' && !this.#preferPax);
    this.pax &&= format === 'pax';
    this.gnu &&= format === 'gnu';
  }
}

/** ustar's split of a long name into prefix and rest; undefined when there is no slash at a fitting place. */
function splitUstarName(name: ByteString): [prefix: ByteString, rest: ByteString] | undefined {
  if (name.length <= 100 || !isAscii(name) || name.includes('\0')) return undefined;
  let length = name.length;
  if (length > 156) length = 156;
  else if (name[length - 1] === '/') length--;
  const slash = name.lastIndexOf('/', length - 1);
  const rest = name.length - slash - 1;
  if (slash <= 0 || rest > 100 || rest === 0 || slash > 155) return undefined;
  return [name.slice(0, slash), name.slice(slash + 1)];
}

/** Other than ASCII is left out of fields whose PAX record has the whole. */
function asciiOnly(text: ByteString): ByteString {
  // oxlint-disable-next-line no-control-regex
  return isPlain(text) ? text : text.replace(/[^\x01-\x7f]/g, '');
}

/** A header block with data of its own that goes before an entry's: PAX records or a GNU long name. */
interface SpecialFile {
  readonly name: ByteString;
  readonly type: string;
  readonly data: ByteString;
  readonly magic: string;
}

function writeSpecialFile(out: Buffer, block: number, { name, type, data, magic }: SpecialFile): void {
  const short = asciiOnly(name).slice(0, 100).replace(/\/+$/, '');
  out.write(short, block, 'latin1');
  writeOctal(out, block, Field.mode, 0);
  writeOctal(out, block, Field.uid, 0);
  writeOctal(out, block, Field.gid, 0);
  writeOctal(out, block, Field.size, data.length);
  writeOctal(out, block, Field.mtime, 0);
  sealBlock(out, block, type, magic);
  out.write(data, block + BLOCK, 'latin1');
}

/** An empty part (also the one after the last slash), or one that begins with a dot. */
const UNCLEAN = /^$|^[/.]|\/(?:[/.]|$)/;

/** Go's path.Join(dir, "PaxHeaders.0", file) of the entry's name. */
function paxHeaderName(name: ByteString): ByteString {
  const slash = name.lastIndexOf('/');
  // As most: nothing in it that Join would take away.
  if (!UNCLEAN.test(name)) return `${name.slice(0, slash + 1)}PaxHeaders.0/${name.slice(slash + 1)}`;
  const parts: string[] = [];
  for (const part of `${name.slice(0, slash + 1)}PaxHeaders.0/${name.slice(slash + 1)}`.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (part !== '..' || !name.startsWith('/')) parts.push(part);
  }
  return (name.startsWith('/') ? '/' : '') + parts.join('/');
}

function byteOrder(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function paxRecordsFile(name: ByteString, records: Encoding['records']): SpecialFile {
  let data = '';
  for (const [key, value] of records.sort((a, b) => byteOrder(a[0], b[0]))) data += formatPaxRecord(key, value);
  return { name: paxHeaderName(name), type: TarType.Pax, data, magic: MAGIC_USTAR };
}

function longNames({ name, linkname }: TarHeader): SpecialFile[] {
  const special = { name: '././@LongLink', magic: MAGIC_GNU };
  const files: SpecialFile[] = [];
  if (name.length > 100) files.push({ ...special, type: TarType.GnuLongName, data: `${name}\0` });
  if (linkname.length > 100) files.push({ ...special, type: TarType.GnuLongLink, data: `${linkname}\0` });
  return files;
}

/** All blocks in one buffer: a layer has a hundred thousand headers. */
function writeBlocks(header: TarHeader, encoding: Encoding): Buffer {
  const format = encoding.ustar ? 'ustar' : encoding.pax ? 'pax' : 'gnu';
  const special: readonly SpecialFile[] =
    format === 'gnu'
      ? longNames(header)
      : format === 'pax' && encoding.records.length > 0
        ? [paxRecordsFile(header.name, encoding.records)]
        : [];
  let size = BLOCK;
  for (const { data } of special) size += BLOCK + data.length + paddingOf(data.length);
  const out = Buffer.allocUnsafe(size).fill(0);
  let at = 0;
  for (const file of special) {
    writeSpecialFile(out, at, file);
    at += BLOCK + file.data.length + paddingOf(file.data.length);
  }
  writeMainBlock(out, at, header, encoding.mtime, format);
  return out;
}

function writeMainBlock(out: Buffer, block: number, header: TarHeader, mtime: number, format: TarFormat): void {
  const number = format === 'gnu' ? writeNumeric : writeOctal;
  const text = (place: Place, value: ByteString): void =>
    writeString(out, block, place, format === 'pax' ? asciiOnly(value) : value);
  const split = format === 'ustar' ? splitUstarName(header.name) : undefined;
  if (split !== undefined) text(Field.prefix, split[0]);
  text(Field.name, split?.[1] ?? header.name);
  text(Field.linkname, header.linkname);
  number(out, block, Field.mode, header.mode);
  number(out, block, Field.uid, header.uid);
  number(out, block, Field.gid, header.gid);
  number(out, block, Field.size, header.size);
  number(out, block, Field.mtime, mtime);
  text(Field.uname, header.uname);
  text(Field.gname, header.gname);
  number(out, block, Field.devmajor, header.devmajor);
  number(out, block, Field.devminor, header.devminor);
  if (format === 'gnu') {
    if (header.atimeNs !== undefined) number(out, block, Field.gnuAtime, seconds(header.atimeNs).value);
    if (header.ctimeNs !== undefined) number(out, block, Field.gnuCtime, seconds(header.ctimeNs).value);
  }
  sealBlock(out, block, header.type, format === 'gnu' ? MAGIC_GNU : MAGIC_USTAR);
}

/** Without a format of the caller's, times are whole seconds (rounded) and there is but mtime, as Go does. */
function withWholeSeconds({ atimeNs: _a, ctimeNs: _c, ...header }: TarHeader): TarHeader {
  return { ...header, mtimeNs: BigInt(seconds(header.mtimeNs + 500_000_000n).value) * 1_000_000_000n };
}

/**
 * The blocks that come before an entry's data: its header, and what PAX or GNU put before that. The data itself follows,
 * then {@link tarPadding}. Throws InvalidArgument when no allowed format can hold the entry.
 */
export function encodeTarHeader(given: TarHeader): Uint8Array {
  const header = given.format === undefined ? withWholeSeconds(given) : given;
  if (header.size < 0) throw invalidArgument('archive/tar: cannot encode header: negative size');
  if (header.name.endsWith('/') && '0346S'.includes(header.type))
    throw invalidArgument('archive/tar: cannot encode header: filename may not have trailing slash');
  const encoding = new Encoding(header);
  if (!encoding.ustar && !encoding.pax && !encoding.gnu)
    throw invalidArgument(`archive/tar: cannot encode header: ${JSON.stringify(header.name.slice(0, 200))}`);
  return writeBlocks(header, encoding);
}

/** Bytes of data that follow the header. */
export function tarDataSize(header: Pick<TarHeader, 'type' | 'size'>): number {
  return isHeaderOnly(header.type) ? 0 : header.size;
}
