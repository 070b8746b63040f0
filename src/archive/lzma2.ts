/**
 * LZMA2, the coding inside of xz (described in "LZMA Specification" by Igor Pavlov and in xz's own format documents): chunks
 * of at most 64 KiB that give at most 2 MiB, each of literals and matches in a window, range coded.
 */
import { invalidArgument } from '../base/index.ts';
import type { BuildError } from '../base/index.ts';

export function brokenXz(what: string): BuildError {
  return invalidArgument(`xz: ${what}`);
}

const HALF = 1024;
const TOP = 2 ** 24;
const STATES = 12;
const MATCH_MIN = 2;
const LITERAL_SIZE = 0x300;

/** Lengths: two switches, then eight low, eight middle or 256 high ones. */
class LengthCode {
  readonly probs = new Uint16Array(2 + 16 * 8 + 16 * 8 + 256);

  reset(): void {
    this.probs.fill(HALF);
  }
}

/** Input of one chunk. Beyond its end there are zeros: {@link finished} tells. */
class RangeDecoder {
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #range = 0;
  #code = 0;

  start(bytes: Uint8Array): void {
    if (bytes.length < 5 || bytes[0] !== 0) throw brokenXz('bad start of a chunk');
    this.#bytes = bytes;
    this.#range = 0xffffffff;
    this.#code = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
    this.#at = 5;
  }

  finished(): boolean {
    return this.#at === this.#bytes.length && this.#code === 0;
  }

  #normalize(): void {
    if (this.#range >= TOP) return;
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | (this.#bytes[this.#at++] ?? 0)) >>> 0;
  }

  bit(probs: Uint16Array, index: number): number {
    const prob = probs[index] as number;
    const bound = (this.#range >>> 11) * prob;
    let bit: number;
    if (this.#code < bound) {
      this.#range = bound;
      probs[index] = prob + ((2048 - prob) >> 5);
      bit = 0;
    } else {
      this.#range -= bound;
      this.#code -= bound;
      probs[index] = prob - (prob >> 5);
      bit = 1;
    }
    this.#normalize();
    return bit;
  }

  direct(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) {
      this.#range >>>= 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code -= this.#range;
      value = value * 2 + bit;
      this.#normalize();
    }
    return value;
  }

  tree(probs: Uint16Array, offset: number, bits: number): number {
    let node = 1;
    for (let i = 0; i < bits; i++) node = node * 2 + this.bit(probs, offset + node);
    return node - 2 ** bits;
  }

  reverseTree(probs: Uint16Array, offset: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.bit(probs, offset + node);
      node = node * 2 + bit;
      value |= bit << i;
    }
    return value;
  }
}

export class Lzma2Decoder {
  readonly #window: Uint8Array;
  #place = 0;
  /** Bytes in the window that may be referred to. */
  #known = 0;
  readonly #range = new RangeDecoder();
  #lc = 0;
  #lp = 0;
  #pb = 0;
  #hasProperties = false;
  #needsWindowReset = true;
  #state = 0;
  /** Bytes since the window's start: its low bits choose among probabilities. */
  #position = 0;
  readonly #distances = [0, 0, 0, 0];
  #literals = new Uint16Array(0);
  readonly #isMatch = new Uint16Array(STATES * 16);
  readonly #isRep = new Uint16Array(STATES);
  readonly #isRep0 = new Uint16Array(STATES);
  readonly #isRep1 = new Uint16Array(STATES);
  readonly #isRep2 = new Uint16Array(STATES);
  readonly #isRep0Long = new Uint16Array(STATES * 16);
  readonly #slots = new Uint16Array(4 * 64);
  readonly #special = new Uint16Array(128);
  readonly #align = new Uint16Array(16);
  readonly #length = new LengthCode();
  readonly #repLength = new LengthCode();

  constructor(windowSize: number) {
    this.#window = new Uint8Array(Math.max(4096, windowSize));
  }

  /** Of a chunk's control byte, how long its head is, that byte included. */
  static headLength(control: number): number {
    if (control === 0) return 1;
    if (control < 0x80) return 3;
    return control >= 0xc0 ? 6 : 5;
  }

  /** Bytes that follow the head. */
  static bodyLength(head: Uint8Array): number {
    const at = (head[0] as number) < 0x80 ? 1 : 3;
    return (((head[at] as number) << 8) | (head[at + 1] as number)) + 1;
  }

  chunk(head: Uint8Array, body: Uint8Array): Buffer {
    const control = head[0] as number;
    if (control === 1 || control >= 0xe0) {
      this.#known = 0;
      this.#position = 0;
      this.#needsWindowReset = false;
    } else if (this.#needsWindowReset) throw brokenXz('no start of the window');
    if (control < 0x80) {
      if (control > 2) throw brokenXz('bad chunk');
      const out = Buffer.from(body);
      for (const byte of out) this.#put(byte);
      return out;
    }
    const size = (((control & 0x1f) << 16) | ((head[1] as number) << 8) | (head[2] as number)) + 1;
    if (control >= 0xc0) this.#setProperties(head[5] as number);
    else if (!this.#hasProperties) throw brokenXz('no properties');
    if (control >= 0xa0) this.#reset();
    this.#range.start(body);
    const out = Buffer.allocUnsafe(size);
    this.#decode(out);
    if (!this.#range.finished()) throw brokenXz('bad end of a chunk');
    return out;
  }

  #setProperties(byte: number): void {
    if (byte >= 225) throw brokenXz('bad properties');
    this.#lc = byte % 9;
    this.#lp = Math.floor(byte / 9) % 5;
    this.#pb = Math.floor(byte / 45);
    if (this.#lc + this.#lp > 4) throw brokenXz('bad properties');
    this.#hasProperties = true;
    this.#literals = new Uint16Array(LITERAL_SIZE << (this.#lc + this.#lp));
  }

  #reset(): void {
    this.#state = 0;
    this.#distances.fill(0);
    this.#length.reset();
    this.#repLength.reset();
    for (const probs of [
      this.#literals,
      this.#isMatch,
      this.#isRep,
      this.#isRep0,
      this.#isRep1,
      this.#isRep2,
      this.#isRep0Long,
      this.#slots,
      this.#special,
      this.#align,
    ])
      probs.fill(HALF);
  }

  #put(byte: number): void {
    this.#window[this.#place] = byte;
    if (++this.#place === this.#window.length) this.#place = 0;
    if (this.#known < this.#window.length) this.#known++;
    this.#position++;
  }

  /** The byte `distance` + 1 back. */
  #back(distance: number): number {
    if (distance >= this.#known) throw brokenXz('bad distance');
    let at = this.#place - distance - 1;
    if (at < 0) at += this.#window.length;
    return this.#window[at] as number;
  }

  #decode(out: Buffer): void {
    const range = this.#range;
    const distances = this.#distances;
    const mask = (1 << this.#pb) - 1;
    for (let at = 0; at < out.length;) {
      const place = this.#position & mask;
      const state = this.#state;
      if (range.bit(this.#isMatch, state * 16 + place) === 0) {
        const byte = this.#literal();
        out[at++] = byte;
        this.#put(byte);
        continue;
      }
      let length: number;
      if (range.bit(this.#isRep, state) === 0) {
        distances.unshift(0);
        distances.pop();
        length = this.#readLength(this.#length, place);
        distances[0] = this.#distance(length);
        this.#state = state < 7 ? 7 : 10;
      } else {
        if (range.bit(this.#isRep0, state) === 0) {
          if (range.bit(this.#isRep0Long, state * 16 + place) === 0) {
            this.#state = state < 7 ? 9 : 11;
            const byte = this.#back(distances[0] as number);
            out[at++] = byte;
            this.#put(byte);
            continue;
          }
        } else {
          const which = range.bit(this.#isRep1, state) === 0 ? 1 : 2 + range.bit(this.#isRep2, state);
          const [distance] = distances.splice(which, 1) as [number];
          distances.unshift(distance);
        }
        length = this.#readLength(this.#repLength, place);
        this.#state = state < 7 ? 8 : 11;
      }
      if (length > out.length - at) throw brokenXz('match beyond its chunk');
      const distance = distances[0] as number;
      for (let i = 0; i < length; i++) {
        const byte = this.#back(distance);
        out[at++] = byte;
        this.#put(byte);
      }
    }
  }

  #literal(): number {
    const before = this.#known === 0 ? 0 : this.#back(0);
    const context = ((this.#position & ((1 << this.#lp) - 1)) << this.#lc) + (before >> (8 - this.#lc));
    const offset = LITERAL_SIZE * context;
    const range = this.#range;
    let symbol = 1;
    if (this.#state >= 7) {
      let match = this.#back(this.#distances[0] as number);
      while (symbol < 0x100) {
        const matchBit = (match >> 7) & 1;
        match <<= 1;
        const bit = range.bit(this.#literals, offset + ((1 + matchBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (matchBit !== bit) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | range.bit(this.#literals, offset + symbol);
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
    return symbol & 0xff;
  }

  #readLength({ probs }: LengthCode, place: number): number {
    const range = this.#range;
    if (range.bit(probs, 0) === 0) return MATCH_MIN + range.tree(probs, 2 + place * 8, 3);
    if (range.bit(probs, 1) === 0) return MATCH_MIN + 8 + range.tree(probs, 2 + 128 + place * 8, 3);
    return MATCH_MIN + 16 + range.tree(probs, 2 + 256, 8);
  }

  #distance(length: number): number {
    const range = this.#range;
    const slot = range.tree(this.#slots, Math.min(length - MATCH_MIN, 3) * 64, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const start = (2 | (slot & 1)) * 2 ** bits;
    if (slot < 14) return start + range.reverseTree(this.#special, start - slot, bits);
    return start + range.direct(bits - 4) * 16 + range.reverseTree(this.#align, 0, 4);
  }
}
