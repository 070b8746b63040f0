/** Sparse files in tars: GNU's old map in header blocks, and its three PAX forms (0.0, 0.1, 1.0). */
import type { ByteString } from './byte-string.ts';
import { invalidTar } from './limits.ts';
import { Field, readNumber } from './tar-fields.ts';
import type { SparseMap } from './tar-header.ts';

/** Bytes that a map may take in the archive. */
export const MAX_SPARSE_MAP = 1 << 20;

type Entries = Array<readonly [offset: number, length: number]>;

const ENTRY = 24;

/** Adds the map entries that a block holds; an entry that begins with a zero byte is the end of them. */
export function readSparseBlock(block: Buffer, offset: number, count: number, into: Entries): void {
  for (let i = 0; i < count; i++) {
    const at = offset + i * ENTRY;
    if (block[at] === 0) return;
    into.push([readNumber(block, [at, 12]), readNumber(block, [at + 12, 12])]);
  }
}

export function firstSparseBlock(block: Buffer, into: Entries): { extended: boolean; realSize: number } {
  readSparseBlock(block, Field.gnuSparse[0], 4, into);
  return { extended: block[Field.gnuExtended[0]] !== 0, realSize: readNumber(block, Field.gnuRealSize) };
}

export function extendedSparseBlock(block: Buffer, into: Entries): boolean {
  readSparseBlock(block, 0, 21, into);
  return block[21 * ENTRY] !== 0;
}

function parseCount(text: string | undefined): number {
  const value = text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) throw invalidTar('sparse map');
  return value;
}

/** Formats 0.0 and 0.1: the map stands in PAX records. */
export function sparseMapOfRecords(records: ReadonlyMap<ByteString, ByteString>): SparseMap {
  const text = records.get('GNU.sparse.map') ?? '';
  const numbers = text === '' ? [] : text.split(',').map(parseCount);
  if (numbers.length !== 2 * parseCount(records.get('GNU.sparse.numblocks'))) throw invalidTar('sparse map');
  return pairs(numbers);
}

function pairs(numbers: readonly number[]): SparseMap {
  const map: Entries = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) map.push([numbers[i] as number, numbers[i + 1] as number]);
  return map;
}

/** Format 1.0: lines of decimal numbers before the data. undefined while there are too few; `used` bytes are whole blocks. */
export function parseSparseText(text: Buffer): SparseMap | undefined {
  const numbers: number[] = [];
  let at = 0;
  let wanted = 1;
  while (numbers.length < wanted) {
    const end = text.indexOf(0x0a, at);
    if (end < 0) return undefined;
    numbers.push(parseCount(text.toString('latin1', at, end)));
    at = end + 1;
    if (numbers.length === 1) {
      wanted = 1 + 2 * (numbers[0] as number);
      // Each number takes two bytes at least: a count beyond that would only make us wait.
      if (wanted > MAX_SPARSE_MAP / 2) throw invalidTar('sparse map is too long');
    }
  }
  return pairs(numbers.slice(1));
}

/** Throws InvalidArgument unless the map is ascending, without overlaps and inside `size`, and its data is `stored` bytes long. */
export function checkSparseMap(map: SparseMap, size: number, stored: number): void {
  let end = 0;
  let total = 0;
  for (const [offset, length] of map) {
    if (offset < end || length < 0 || offset + length > size) throw invalidTar('sparse map');
    end = offset + length;
    total += length;
  }
  if (total !== stored) throw invalidTar('sparse map does not fit its data');
}
