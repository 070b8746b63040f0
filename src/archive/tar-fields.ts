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

/** Fills the magic and the checksum of a finished block. */
export function sealBlock(block: Buffer, magic: string): void {
  block.write(magic, Field.magic[0], 'latin1');
  const [sum] = checksums(block);
  // Six digits, a zero byte, a space: the historical form of this one field.
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, Field.checksum[0], 'latin1');
}

/** Writes what fits. A cut name must not end in a slash, or old readers take the file for a folder. */
export function writeString(block: Buffer, [offset, length]: Place, text: ByteString): void {
  if (text.length <= length) {
    block.write(text, offset, 'latin1');
    return;
  }
  let cut = text.slice(0, length);
  if (cut.endsWith('/')) cut = cut.slice(0, length - 1).replace(/\/+$/, '');
  block.write(cut, offset, 'latin1');
}

/** All digits, or zero when they do not fit (the PAX record then tells). */
export function writeOctal(block: Buffer, [offset, length]: Place, value: number): void {
  const number = fitsOctal(length, value) ? value : 0;
  block.write(number.toString(8).padStart(length - 1, '0'), offset, 'latin1');
}

export function fitsOctal(length: number, value: number): boolean {
  return value >= 0 && value < 8 ** (length - 1);
}

/** Octal where it fits, else GNU's base 256. */
export function writeNumeric(block: Buffer, place: Place, value: number): void {
  const [offset, length] = place;
  if (fitsOctal(length, value)) {
    writeOctal(block, place, value);
    return;
  }
  let rest = BigInt(value);
  for (let i = length - 1; i >= 0; i--) {
    block[offset + i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  block[offset] = (block[offset] as number) | 0x80;
}
