/** The fixed fields of a 512-byte tar header block: POSIX ustar, with the parts where GNU differs. */
import type { ByteString } from './byte-string.ts';
import { invalidTar } from './limits.ts';

export const BLOCK = 512;

/** [offset, length] of each field. */
export const Field = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkname: [157, 100],
  magic: [257, 8],
  uname: [265, 32],
  gname: [297, 32],
  devmajor: [329, 8],
  devminor: [337, 8],
  prefix: [345, 155],
  gnuAtime: [345, 12],
  gnuCtime: [357, 12],
  gnuSparse: [386, 96],
  gnuExtended: [482, 1],
  gnuRealSize: [483, 12],
} as const;
export type Place = readonly [offset: number, length: number];

export const MAGIC_USTAR = 'ustar\x0000';
export const MAGIC_GNU = 'ustar  \0';

export function readString(block: Buffer, [offset, length]: Place): ByteString {
  let end = offset;
  while (end < offset + length && block[end] !== 0) end++;
  return end === offset ? '' : block.toString('latin1', offset, end);
}

/** Octal digits, or GNU's base 256 (first bit set). Throws InvalidArgument for anything else and beyond 2^53. */
export function readNumber(block: Buffer, place: Place): number {
  const [offset, length] = place;
  const first = block[offset] as number;
  if ((first & 0x80) !== 0) return readBase256(block, place);
  let at = offset;
  let end = offset + length;
  while (at < end && (block[at] === 0x20 || block[at] === 0)) at++;
  while (end > at && (block[end - 1] === 0x20 || block[end - 1] === 0)) end--;
  let value = 0;
  for (; at < end; at++) {
    const digit = (block[at] as number) - 0x30;
    // A zero byte in the middle ends the number, as it does for Go and GNU tar.
    if (block[at] === 0) break;
    if (digit < 0 || digit > 7) throw invalidTar('number');
    value = value * 8 + digit;
  }
  return value;
}

function readBase256(block: Buffer, [offset, length]: Place): number {
  const negative = (((block[offset] as number) >> 6) & 1) === 1;
  let value = 0n;
  for (let i = 0; i < length; i++) {
    let byte = block[offset + i] as number;
    if (i === 0) byte = negative ? byte | 0x80 : byte & 0x7f;
    value = (value << 8n) | BigInt(byte);
  }
  if (negative) value = BigInt.asIntN(length * 8, value);
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER))
    throw invalidTar('number is too big');
  return Number(value);
}

/** Sums of the block's bytes with a blank checksum field: unsigned, and signed as some old programs did. */
function checksums(block: Buffer): [unsigned: number, signed: number] {
  const [blank, length] = Field.checksum;
  let unsigned = length * 0x20;
  let high = 0;
  for (let i = 0; i < blank; i++) {
    const byte = block[i] as number;
    unsigned += byte;
    high += byte >> 7;
  }
  for (let i = blank + length; i < BLOCK; i++) {
    const byte = block[i] as number;
    unsigned += byte;
    high += byte >> 7;
  }
  return [unsigned, unsigned - 256 * high];
}

export function hasValidChecksum(block: Buffer): boolean {
  const wanted = readNumber(block, Field.checksum);
  const [unsigned, signed] = checksums(block);
  return wanted === unsigned || wanted === signed;
}

/** Short text of ASCII, byte by byte: a call of Buffer's costs more. */
function writeAscii(out: Buffer, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) out[at + i] = text.charCodeAt(i);
}

function writeDigits(out: Buffer, at: number, count: number, value: number): void {
  let rest = value;
  let i = at + count - 1;
  for (; i >= at && rest > 0xffffffff; i--) {
    out[i] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
  for (; i >= at; i--) {
    out[i] = 0x30 + (rest & 7);
    rest >>>= 3;
  }
}

/** Fills the type, the magic and the checksum of a block that is finished but for them. It begins at `block`, as for all writers here. */
export function sealBlock(out: Buffer, block: number, type: string, magic: string): void {
  writeAscii(out, block + Field.type[0], type);
  writeAscii(out, block + Field.magic[0], magic);
  const [offset, length] = Field.checksum;
  out.fill(0x20, block + offset, block + offset + length);
  let sum = 0;
  for (let i = block; i < block + BLOCK; i++) sum += out[i] as number;
  // Six digits, a zero byte, a space: the historical form of this one field.
  writeDigits(out, block + offset, 6, sum);
  out[block + offset + 6] = 0;
}

/** Writes what fits. A cut name must not end in a slash, or old readers take the file for a folder. */
export function writeString(out: Buffer, block: number, place: Place, text: ByteString): void {
  if (text === '') return;
  const [offset, length] = place;
  let cut = text;
  if (text.length > length) {
    cut = text.slice(0, length);
    if (cut.endsWith('/')) cut = cut.slice(0, length - 1).replace(/\/+$/, '');
  }
  out.write(cut, block + offset, 'latin1');
}

/** All digits, or zero when they do not fit (the PAX record then tells). */
export function writeOctal(out: Buffer, block: number, place: Place, value: number): void {
  const [offset, length] = place;
  writeDigits(out, block + offset, length - 1, fitsOctal(length, value) ? value : 0);
}

/** By length of the field: numbers from this one on do not fit, as its last byte is a zero. */
const OCTAL_LIMITS = Array.from({ length: 13 }, (_, length) => 8 ** (length - 1));

export function fitsOctal(length: number, value: number): boolean {
  return value >= 0 && value < (OCTAL_LIMITS[length] as number);
}

/** Octal where it fits, else GNU's base 256. */
export function writeNumeric(out: Buffer, block: number, place: Place, value: number): void {
  const [offset, length] = place;
  if (fitsOctal(length, value)) {
    writeOctal(out, block, place, value);
    return;
  }
  const first = block + offset;
  let rest = BigInt(value);
  for (let i = first + length - 1; i >= first; i--) {
    out[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  out[first] = (out[first] as number) | 0x80;
}
