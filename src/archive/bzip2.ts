/**
 * bzip2 decompression: blocks are Huffman coded, move-to-front and Burrows-Wheeler transformed (the format is described in
 * bzip2's own manual and "BZIP2: Format Specification" by Joe Tsai). Only for ADD of old archives, so plain rather than fast.
 */
import { invalidArgument } from '../base/index.ts';
import type { BuildError } from '../base/index.ts';

const BLOCK_MAGIC = 0x314159265359;
const END_MAGIC = 0x177245385090;

function broken(what: string): BuildError {
  return invalidArgument(`bzip2: ${what}`);
}

/** Thrown while a block is not complete: reading goes on when more bytes are there. */
class NeedMore extends Error {}

class Bits {
  bytes: Buffer = Buffer.alloc(0);
  /** In bits from the start of `bytes`. */
  at = 0;

  read(count: number): number {
    let value = 0;
    for (let left = count; left > 0;) {
      const byte = this.bytes[this.at >> 3];
      if (byte === undefined) throw new NeedMore();
      const offset = this.at & 7;
      const take = Math.min(8 - offset, left);
      value = value * 2 ** take + ((byte >> (8 - offset - take)) & ((1 << take) - 1));
      this.at += take;
      left -= take;
    }
    return value;
  }

  bit(): number {
    const byte = this.bytes[this.at >> 3];
    if (byte === undefined) throw new NeedMore();
    return (byte >> (7 - (this.at++ & 7))) & 1;
  }

  /** Drops the bytes that have been read. */
  compact(): void {
    this.bytes = this.bytes.subarray(this.at >> 3);
    this.at &= 7;
  }
}

interface Code {
  /** First code and first index of each length. */
  readonly limit: Int32Array;
  readonly base: Int32Array;
  readonly symbols: Uint16Array;
}

function makeCode(lengths: Uint8Array): Code {
  const limit = new Int32Array(22).fill(-1);
  const base = new Int32Array(22);
  const symbols = new Uint16Array(lengths.length);
  let code = 0;
  let index = 0;
  for (let length = 1; length <= 20; length++) {
    base[length] = index - code;
    for (let s = 0; s < lengths.length; s++) {
      if (lengths[s] !== length) continue;
      symbols[index++] = s;
      code++;
    }
    limit[length] = code - 1;
    if (code > 1 << length) throw broken('bad code lengths');
    code <<= 1;
  }
  return { limit, base, symbols };
}

function readSymbol(bits: Bits, code: Code): number {
  let value = 0;
  for (let length = 1; length <= 20; length++) {
    value = value * 2 + bits.bit();
    const index = value + (code.base[length] as number);
    if (value <= (code.limit[length] as number) && index >= 0) return code.symbols[index] as number;
  }
  throw broken('bad code');
}

/** The symbols that a block uses, two levels of sixteen bits. */
function readAlphabet(bits: Bits): number[] {
  const groups = bits.read(16);
  const alphabet: number[] = [];
  for (let g = 0; g < 16; g++) {
    if ((groups & (0x8000 >> g)) === 0) continue;
    const used = bits.read(16);
    for (let i = 0; i < 16; i++) if ((used & (0x8000 >> i)) !== 0) alphabet.push(g * 16 + i);
  }
  if (alphabet.length === 0) throw broken('empty alphabet');
  return alphabet;
}

function readSelectors(bits: Bits, codes: number): Uint8Array {
  const count = bits.read(15);
  if (count === 0) throw broken('no selectors');
  const selectors = new Uint8Array(count);
  const order = Array.from({ length: codes }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    let place = 0;
    while (bits.bit() === 1) if (++place >= codes) throw broken('bad selector');
    const [code] = order.splice(place, 1) as [number];
    order.unshift(code);
    selectors[i] = code;
  }
  return selectors;
}

function readCodes(bits: Bits, count: number, symbols: number): Code[] {
  const codes: Code[] = [];
  for (let c = 0; c < count; c++) {
    const lengths = new Uint8Array(symbols);
    let length = bits.read(5);
    for (let s = 0; s < symbols; s++) {
      for (;;) {
        if (length < 1 || length > 20) throw broken('bad code length');
        if (bits.bit() === 0) break;
        length += bits.bit() === 0 ? 1 : -1;
      }
      lengths[s] = length;
    }
    codes.push(makeCode(lengths));
  }
  return codes;
}

/** The block before run-length decoding of its bytes, in the order of the Burrows-Wheeler transform's inverse. */
function readBlock(bits: Bits, maxSize: number): { start: number; table: Uint32Array } {
  if (bits.bit() === 1) throw broken('randomised blocks are not supported');
  const origin = bits.read(24);
  const mtf = readAlphabet(bits);
  const symbols = mtf.length + 2;
  const codeCount = bits.read(3);
  if (codeCount < 2 || codeCount > 6) throw broken('bad number of codes');
  const selectors = readSelectors(bits, codeCount);
  const codes = readCodes(bits, codeCount, symbols);
  const table = new Uint32Array(maxSize);
  const counts = new Uint32Array(257);
  let size = 0;
  let run = 0;
  let runBit = 1;
  const put = (byte: number, times: number): void => {
    if (size + times > maxSize) throw broken('block is too long');
    table.fill(byte, size, size + times);
    size += times;
    counts[byte + 1] = (counts[byte + 1] as number) + times;
  };
  for (let i = 0; ; i++) {
    const selector = selectors[Math.floor(i / 50)];
    if (selector === undefined) throw broken('too few selectors');
    const symbol = readSymbol(bits, codes[selector] as Code);
    if (symbol < 2) {
      run += runBit << symbol;
      runBit *= 2;
      if (run > maxSize) throw broken('run is too long');
      continue;
    }
    if (run > 0) put(mtf[0] as number, run);
    run = 0;
    runBit = 1;
    if (symbol === symbols - 1) break;
    const [byte] = mtf.splice(symbol - 1, 1) as [number];
    mtf.unshift(byte);
    put(byte, 1);
  }
  if (origin >= size) throw broken('bad origin');
  for (let b = 0; b < 256; b++) counts[b + 1] = (counts[b + 1] as number) + (counts[b] as number);
  for (let i = 0; i < size; i++) {
    const byte = (table[i] as number) & 0xff;
    const place = counts[byte] as number;
    counts[byte] = place + 1;
    table[place] = (table[place] as number) | (i << 8);
  }
  return { start: origin, table: table.subarray(0, size) };
}

/** bzip2's CRC-32: the usual polynomial, bits the other way round. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n << 24;
  for (let i = 0; i < 8; i++) value = value & 0x80000000 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value >>> 0;
});

function expandBlock(bits: Bits, maxSize: number): { data: Buffer; crc: number } {
  const crc = bits.read(32);
  const { start, table } = readBlock(bits, maxSize);
  let out = Buffer.allocUnsafe(table.length * 2 + 1024);
  let length = 0;
  let sum = 0xffffffff;
  let place = (table[start] as number) >>> 8;
  let last = -1;
  let repeats = 0;
  for (let i = 0; i < table.length; i++) {
    const entry = table[place] as number;
    const byte = entry & 0xff;
    place = entry >>> 8;
    // Four equal bytes are followed by a count of more.
    const times = repeats === 4 ? byte : 1;
    const value = repeats === 4 ? last : byte;
    if (length + times > out.length) out = Buffer.concat([out], out.length * 2 + 256);
    for (let t = 0; t < times; t++) {
      out[length++] = value;
      sum = ((sum << 8) ^ (CRC_TABLE[((sum >>> 24) ^ value) & 0xff] as number)) >>> 0;
    }
    if (repeats === 4) {
      repeats = 0;
      last = -1;
    } else {
      repeats = byte === last ? repeats + 1 : 1;
      last = byte;
    }
  }
  if (~sum >>> 0 !== crc) throw broken('wrong checksum');
  return { data: out.subarray(0, length), crc };
}

/** Streams may follow one another, as `bzip2 -d` reads them. */
export class Bunzip2 {
  readonly #bits = new Bits();
  /** Bytes in a block; undefined before a stream's header. */
  #blockSize: number | undefined;
  #sum = 0;
  #streams = 0;

  *write(chunk: Uint8Array): Generator<Uint8Array> {
    this.#bits.bytes = Buffer.concat([this.#bits.bytes, chunk]);
    // A block is at most about 1 MB compressed: trying again for every small piece would take quadratic time.
    for (;;) {
      const at = this.#bits.at;
      try {
        const data = this.#step();
        this.#bits.compact();
        if (data !== undefined) yield data;
      } catch (e) {
        if (!(e instanceof NeedMore)) throw e;
        this.#bits.at = at;
        return;
      }
    }
  }

  end(): void {
    if (this.#blockSize !== undefined || this.#streams === 0) throw broken('unexpected EOF');
  }

  #step(): Uint8Array | undefined {
    const bits = this.#bits;
    if (this.#blockSize === undefined) {
      const level = bits.read(32) - 0x425a6830;
      if (level < 1 || level > 9) throw broken('bad header');
      this.#blockSize = level * 100_000;
      this.#sum = 0;
      return undefined;
    }
    const magic = bits.read(48);
    if (magic === BLOCK_MAGIC) {
      const { data, crc } = expandBlock(bits, this.#blockSize);
      this.#sum = (((this.#sum << 1) | (this.#sum >>> 31)) ^ crc) >>> 0;
      return data;
    }
    if (magic !== END_MAGIC) throw broken('bad block');
    if (bits.read(32) !== this.#sum) throw broken('wrong checksum of the stream');
    bits.at = (bits.at + 7) & ~7;
    this.#blockSize = undefined;
    this.#streams++;
    return undefined;
  }
}
