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
import { isHeaderOnly, TarType } from './tar-header.ts';
import type { TarHeader } from './tar-header.ts';

/** The two zero blocks that end an archive. */
export const TAR_TRAILER: Uint8Array = new Uint8Array(2 * BLOCK);

/** Zero bytes that fill up the last block of `size` bytes of data. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

/** Keys that the header's own fields stand for: a record of the caller's must not contradict them. */
const OWN_KEYS = new Set(['path', 'linkpath', 'size', 'uid', 'gid', 'uname', 'gname', 'mtime', 'atime', 'ctime']);

interface Encoding {
  ustar: boolean;
  pax: boolean;
  gnu: boolean;
  records: Map<ByteString, ByteString>;
}

/** Seconds below a time, and whether it has a fraction. */
function seconds(ns: bigint): { value: number; fraction: boolean } {
  const rest = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { value: Number((ns - rest) / 1_000_000_000n), fraction: rest !== 0n };
}

/** Which formats can hold the entry, and the PAX records that it would need. */
function judge(header: TarHeader): Encoding {
  const e: Encoding = { ustar: true, pax: true, gnu: true, records: new Map() };
  let preferPax = false;
  const text = (value: ByteString, size: number, key: string): void => {
    const long = value.length > size;
    if (value.includes('\0') || (long && key !== 'path' && key !== 'linkpath')) e.gnu = false;
    if (!long && isAscii(value) && !value.includes('\0')) return;
    if (key !== 'path' || splitUstarName(value) === undefined) e.ustar = false;
    e.records.set(key, value);
  };
  const number = (value: number, size: number, key?: string): void => {
    if (fitsOctal(size, value)) return;
    if (size < 9 && !(value >= -(2 ** ((size - 1) * 8)) && value < 2 ** ((size - 1) * 8))) e.gnu = false;
    e.ustar = false;
    if (key === undefined) e.pax = false;
    else e.records.set(key, String(value));
  };
  const time = (ns: bigint | undefined, key: string): void => {
    if (ns === undefined) return;
    const { value, fraction } = seconds(ns);
    const plain = key === 'mtime' && fitsOctal(12, value);
    if (!plain) e.ustar = false;
    if (plain && !fraction) return;
    preferPax = true;
    e.records.set(key, formatPaxTime(ns));
  };
  text(header.name, 100, 'path');
  text(header.linkname, 100, 'linkpath');
  text(header.uname, 32, 'uname');
  text(header.gname, 32, 'gname');
  number(header.mode, 8);
  number(header.uid, 8, 'uid');
  number(header.gid, 8, 'gid');
  number(header.size, 12, 'size');
  number(header.devmajor, 8);
  number(header.devminor, 8);
  time(header.mtimeNs, 'mtime');
  time(header.atimeNs, 'atime');
  time(header.ctimeNs, 'ctime');
  if (header.pax !== undefined && header.pax.size > 0) {
    for (const [key, value] of header.pax) {
      if (!e.records.has(key) && !OWN_KEYS.has(key) && !key.startsWith('GNU.sparse.')) e.records.set(key, value);
    }
    e.ustar = e.gnu = false;
  }
  for (const [key, value] of e.records) if (!isValidPaxRecord(key, value)) e.pax = false;
  if (header.format !== undefined) {
    e.ustar &&= header.format === 'ustar' || (header.format === 'pax' && !preferPax);
    e.pax &&= header.format === 'pax';
    e.gnu &&= header.format === 'gnu';
  }
  return e;
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

function mainBlock(
  block: Buffer,
  header: TarHeader,
  number: typeof writeOctal,
  text: (t: ByteString) => ByteString,
): void {
  block.write(header.type, Field.type[0], 'latin1');
  writeString(block, Field.name, text(header.name));
  writeString(block, Field.linkname, text(header.linkname));
  number(block, Field.mode, header.mode);
  number(block, Field.uid, header.uid);
  number(block, Field.gid, header.gid);
  number(block, Field.size, header.size);
  number(block, Field.mtime, seconds(header.mtimeNs).value);
  writeString(block, Field.uname, text(header.uname));
  writeString(block, Field.gname, text(header.gname));
  number(block, Field.devmajor, header.devmajor);
  number(block, Field.devminor, header.devminor);
}

/** Other than ASCII is left out of fields whose PAX record has the whole. */
function asciiOnly(text: ByteString): ByteString {
  // oxlint-disable-next-line no-control-regex
  return isAscii(text) && !text.includes('\0') ? text : text.replace(/[^\x01-\x7f]/g, '');
}

/** A header block with data of its own: PAX records or a GNU long name. */
function specialFile(name: ByteString, type: string, data: ByteString, magic: string): Buffer {
  const out = Buffer.alloc(BLOCK + Math.ceil(data.length / BLOCK) * BLOCK);
  const short = asciiOnly(name).slice(0, 100).replace(/\/+$/, '');
  const block = out.subarray(0, BLOCK);
  block.write(type, Field.type[0], 'latin1');
  block.write(short, 0, 'latin1');
  for (const place of [Field.mode, Field.uid, Field.gid, Field.mtime]) writeOctal(block, place, 0);
  writeOctal(block, Field.size, data.length);
  sealBlock(block, magic);
  out.write(data, BLOCK, 'latin1');
  return out;
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

/**
 * The blocks that come before an entry's data: its header, and what PAX or GNU put before that. The data itself follows,
 * then {@link tarPadding}. Throws InvalidArgument when no allowed format can hold the entry.
 */
export function encodeTarHeader(given: TarHeader): Uint8Array {
  let header = given;
  if (given.format === undefined) {
    // Without a format of the caller's, times are whole seconds (rounded) and there is but mtime, as Go does.
    const { atimeNs: _a, ctimeNs: _c, ...rest } = given;
    const mtimeNs = BigInt(seconds(given.mtimeNs + 500_000_000n).value) * 1_000_000_000n;
    header = { ...rest, mtimeNs };
  }
  if (header.size < 0) throw invalidArgument('archive/tar: cannot encode header: negative size');
  if (header.name.endsWith('/') && '0346S'.includes(header.type))
    throw invalidArgument('archive/tar: cannot encode header: filename may not have trailing slash');
  const encoding = judge(header);
  if (encoding.ustar) {
    const block = Buffer.alloc(BLOCK);
    const split = splitUstarName(header.name);
    if (split === undefined) mainBlock(block, header, writeOctal, (t) => t);
    else {
      mainBlock(block, { ...header, name: split[1] }, writeOctal, (t) => t);
      writeString(block, Field.prefix, split[0]);
    }
    sealBlock(block, MAGIC_USTAR);
    return block;
  }
  const parts: Buffer[] = [];
  const block = Buffer.alloc(BLOCK);
  if (encoding.pax) {
    if (encoding.records.size > 0) {
      const sorted = [...encoding.records].sort((a, b) => byteOrder(a[0], b[0]));
      const data = sorted.map(([key, value]) => formatPaxRecord(key, value)).join('');
      parts.push(specialFile(paxHeaderName(header.name), TarType.Pax, data, MAGIC_USTAR));
    }
    mainBlock(block, header, writeOctal, asciiOnly);
    sealBlock(block, MAGIC_USTAR);
  } else if (encoding.gnu) {
    if (header.name.length > 100)
      parts.push(specialFile('././@LongLink', TarType.GnuLongName, `${header.name}\0`, MAGIC_GNU));
    if (header.linkname.length > 100)
      parts.push(specialFile('././@LongLink', TarType.GnuLongLink, `${header.linkname}\0`, MAGIC_GNU));
    mainBlock(block, header, writeNumeric, (t) => t);
    if (header.atimeNs !== undefined) writeNumeric(block, Field.gnuAtime, seconds(header.atimeNs).value);
    if (header.ctimeNs !== undefined) writeNumeric(block, Field.gnuCtime, seconds(header.ctimeNs).value);
    sealBlock(block, MAGIC_GNU);
  } else throw invalidArgument(`archive/tar: cannot encode header: ${JSON.stringify(header.name.slice(0, 200))}`);
  parts.push(block);
  return Buffer.concat(parts);
}

/** Bytes of data that follow the header. */
export function tarDataSize(header: Pick<TarHeader, 'type' | 'size'>): number {
  return isHeaderOnly(header.type) ? 0 : header.size;
}
