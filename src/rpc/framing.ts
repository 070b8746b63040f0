/** gRPC's length-prefixed messages: one byte of flags, four of length (grpc/doc/PROTOCOL-HTTP2.md). */
import { BuildError, Code, unimplemented } from '../base/index.ts';
import { HeldBytes } from './held-bytes.ts';
import { MAX_MESSAGE } from './limits.ts';
import type { MessageType } from './types.ts';

/** Bytes before a message. */
export const PREFIX = 5;

/** Cuts a byte stream into messages. What it holds is one unfinished message at most. */
export class FrameDecoder {
  readonly #held = new HeldBytes();
  /** Whole frame that the chunks must reach before they are looked at again. */
  #wanted = PREFIX;

  get isEmpty(): boolean {
    return this.#held.length === 0;
  }

  /** Appends what `chunk` completes to `out`. Throws ResourceExhausted and Unimplemented. */
  push(chunk: Uint8Array, out: Uint8Array[]): void {
    let bytes = chunk;
    if (this.#held.length > 0) {
      this.#held.push(chunk);
      const { length } = this.#held;
      if (length < this.#wanted) return;
      bytes = Buffer.concat(this.#held.take(), length);
    }
    let at = 0;
    while (bytes.length - at >= PREFIX) {
      if (bytes[at] !== 0) throw unimplemented('grpc: compressed messages are not supported');
      const size = ((bytes[at + 1] << 24) | (bytes[at + 2] << 16) | (bytes[at + 3] << 8) | bytes[at + 4]) >>> 0;
      if (size > MAX_MESSAGE) {
        throw new BuildError(
          Code.ResourceExhausted,
          `grpc: received message larger than max (${size} vs. ${MAX_MESSAGE})`,
        );
      }
      this.#wanted = PREFIX + size;
      if (bytes.length - at < this.#wanted) break;
      out.push(bytes.subarray(at + PREFIX, at + this.#wanted));
      at += this.#wanted;
      this.#wanted = PREFIX;
    }
    if (at < bytes.length) this.#held.push(bytes.subarray(at));
  }
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
