import { structural } from './failure.ts';

/** Reads numbers and pieces from bytes, none of which may be missing. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get position(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number): Buffer {
    if (length > this.left) throw structural('unexpected end');
    const piece = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return Buffer.from(piece.buffer, piece.byteOffset, piece.length);
  }

  /** A number of that many bytes, the highest first. */
  number(length: 1 | 2 | 4): number {
    return this.take(length).readUIntBE(0, length);
  }

  /** A multiprecision integer, without leading zeros. */
  mpi(): Buffer {
    return this.take(Math.ceil(this.number(2) / 8));
  }
}
