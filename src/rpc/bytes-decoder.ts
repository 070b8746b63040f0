/** The bytes of a stream of BytesMessages, as they come: nobody asks how they were cut into messages. */
import { HeldBytes } from './held-bytes.ts';
import { PREFIX, sizeOf } from './framing.ts';
import type { Cutter } from './framing.ts';
import { BYTES_TAG, decodeBytes } from './raw.ts';

/** A length that fits into a message takes no more bytes than this. */
const MAX_LENGTH_BYTES = 4;

/**
 * It holds the beginning of a message, the few bytes before its body, and hands the body out as views of what was read.
 * A message that is not just a body, which nobody sends, is collected and read as a whole.
 */
export class BytesDecoder implements Cutter {
  /** The prefix, the tag and the length, as far as they have come. */
  readonly #head = new Uint8Array(PREFIX + 1 + MAX_LENGTH_BYTES);
  #headBytes = 0;
  /** Of the message, while its head is complete up to the prefix. */
  #size = 0;
  /** Of the body, still to come. */
  #left = 0;
  /** A message that is collected. */
  #whole: HeldBytes | undefined;
  #overhead = 0;

  get isEmpty(): boolean {
    return this.#headBytes === 0 && this.#left === 0 && this.#whole === undefined;
  }

  takeOverhead(): number {
    const overhead = this.#overhead;
    this.#overhead = 0;
    return overhead;
  }

  push(chunk: Uint8Array, out: Uint8Array[], most = Infinity): number {
    let at = 0;
    while (at < chunk.length && out.length < most) {
      if (this.#whole !== undefined) at = this.#collect(this.#whole, chunk, at, out);
      else if (this.#left > 0) {
        const part = chunk.subarray(at, at + this.#left);
        out.push(part);
        at += part.length;
        this.#left -= part.length;
      } else this.#takeHead(chunk[at++]);
    }
    return at;
  }

  #takeHead(byte: number): void {
    this.#head[this.#headBytes++] = byte;
    if (this.#headBytes < PREFIX) return;
    if (this.#headBytes === PREFIX) this.#size = sizeOf(this.#head, 0);
    const here = this.#headBytes - PREFIX;
    if (here === 0) {
      if (this.#size === 0) this.#headDone();
      return;
    }
    const isTag = here === 1;
    if (isTag ? byte === BYTES_TAG && this.#size > 1 : byte >= 0x80 && here <= MAX_LENGTH_BYTES && here < this.#size)
      return;
    const length = isTag ? -1 : this.#length(here);
    if (length === this.#size - here) {
      this.#left = length;
      this.#headDone();
    } else this.#startWhole(here);
  }

  #length(here: number): number {
    let value = 0;
    for (let i = 1; i < here; i++) value += (this.#head[PREFIX + i] & 0x7f) * 2 ** (7 * (i - 1));
    return this.#head[PREFIX + here - 1] < 0x80 ? value : -1;
  }

  #headDone(): void {
    this.#overhead += this.#headBytes;
    this.#headBytes = 0;
  }

  #startWhole(here: number): void {
    const bytes = this.#head.slice(PREFIX, PREFIX + here);
    // Nothing more of it comes, and no message is like that: it throws.
    if (here === this.#size) decodeBytes(bytes);
    this.#whole = new HeldBytes();
    this.#whole.push(bytes);
    this.#headBytes = 0;
    this.#overhead += PREFIX;
  }

  #collect(whole: HeldBytes, chunk: Uint8Array, from: number, out: Uint8Array[]): number {
    const part = chunk.subarray(from, from + this.#size - whole.length);
    whole.push(part);
    if (whole.length === this.#size) {
      this.#whole = undefined;
      const { data } = decodeBytes(Buffer.concat(whole.take(), this.#size));
      this.#overhead += this.#size - data.length;
      if (data.length > 0) out.push(data);
    }
    return from + part.length;
  }
}
