/** gRPC's length-prefixed messages: one byte of flags, four of length (grpc/doc/PROTOCOL-HTTP2.md). */
import { BuildError, Code, unimplemented } from '../base/index.ts';
import { HeldBytes } from './held-bytes.ts';
import { MAX_MESSAGE } from './limits.ts';
import type { MessageType } from './types.ts';

/** Bytes before a message. */
export const PREFIX = 5;

/** Cuts the bytes of a stream into what its reader gets. */
export interface Cutter {
  /** Nothing has begun that is not complete. */
  readonly isEmpty: boolean;
  /**
   * Appends what `chunk` completes to `out`, until that has `most` entries; returns how many bytes of it were read. Throws
   * ResourceExhausted and Unimplemented, and an Error without a code for a message that is none.
   */
  push(chunk: Uint8Array, out: Uint8Array[], most: number): number;
  /** Bytes that were read since the last time and are in no entry, nor held. */
  takeOverhead(): number;
}

/** Cuts a byte stream into messages: views of what was read, copies of those that came in parts. It holds one unfinished message at most. */
export class FrameDecoder implements Cutter {
  readonly #prefix = new Uint8Array(PREFIX);
  #prefixBytes = 0;
  /** Of the message, -1 while its prefix is not complete. */
  #size = -1;
  readonly #held = new HeldBytes();
  #overhead = 0;

  get isEmpty(): boolean {
    return this.#prefixBytes === 0 && this.#size < 0;
  }

  takeOverhead(): number {
    const overhead = this.#overhead;
    this.#overhead = 0;
    return overhead;
  }

  push(chunk: Uint8Array, out: Uint8Array[], most = Infinity): number {
    let at = 0;
    while (out.length < most) {
      if (this.#size < 0) at = this.#takePrefix(chunk, at);
      if (this.#size < 0) return chunk.length;
      const end = at + this.#size - this.#held.length;
      const part = chunk.subarray(at, end);
      if (end > chunk.length) {
        if (part.length > 0) this.#held.push(part);
        return chunk.length;
      }
      out.push(this.#held.length === 0 ? part : this.#join(part));
      this.#overhead += PREFIX;
      at = end;
      this.#size = -1;
    }
    return at;
  }

  #takePrefix(chunk: Uint8Array, at: number): number {
    const missing = PREFIX - this.#prefixBytes;
    if (missing === PREFIX && chunk.length - at >= PREFIX) {
      this.#size = sizeOf(chunk, at);
      return at + PREFIX;
    }
    const part = chunk.subarray(at, at + missing);
    this.#prefix.set(part, this.#prefixBytes);
    this.#prefixBytes += part.length;
    if (part.length === missing) {
      this.#prefixBytes = 0;
      this.#size = sizeOf(this.#prefix, 0);
    }
    return at + part.length;
  }

  #join(last: Uint8Array): Uint8Array {
    const length = this.#held.length + last.length;
    return Buffer.concat([...this.#held.take(), last], length);
  }
}

/** What the prefix at `at` says. */
export function sizeOf(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== 0) throw unimplemented('grpc: compressed messages are not supported');
  const size = ((bytes[at + 1] << 24) | (bytes[at + 2] << 16) | (bytes[at + 3] << 8) | bytes[at + 4]) >>> 0;
  if (size > MAX_MESSAGE) {
    throw new BuildError(Code.ResourceExhausted, `grpc: received message larger than max (${size} vs. ${MAX_MESSAGE})`);
  }
  return size;
}

/** The message with its prefix, in pieces that may be written one after the other. Throws ResourceExhausted. */
export function encodeFrame<T>(type: MessageType<T>, message: T): Uint8Array[] {
  const parts = type.encodeParts === undefined ? [type.encode(message).finish()] : type.encodeParts(message);
  let size = 0;
  for (const part of parts) size += part.length;
  if (size > MAX_MESSAGE) {
    throw new BuildError(
      Code.ResourceExhausted,
      `grpc: trying to send message larger than max (${size} vs. ${MAX_MESSAGE})`,
    );
  }
  const prefix = Buffer.allocUnsafe(PREFIX);
  prefix[0] = 0;
  prefix.writeUInt32BE(size, 1);
  return [prefix, ...parts];
}
