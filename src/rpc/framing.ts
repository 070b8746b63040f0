/** gRPC's length-prefixed messages: one byte of flags, four of length (grpc/doc/PROTOCOL-HTTP2.md). */
import { BuildError, Code, unimplemented } from '../base/index.ts';
import { MAX_MESSAGE } from './limits.ts';
import type { MessageType } from './types.ts';

const PREFIX = 5;

/** Cuts a byte stream into messages. What it holds is one unfinished message at most. */
export class FrameDecoder {
  #chunks: Uint8Array[] = [];
  #held = 0;
  /** Whole frame that the chunks must reach before they are looked at again. */
  #wanted = PREFIX;

  get isEmpty(): boolean {
    return this.#held === 0;
  }

  /** Appends what `chunk` completes to `out`. Throws ResourceExhausted and Unimplemented. */
  push(chunk: Uint8Array, out: Uint8Array[]): void {
    let bytes = chunk;
    if (this.#held > 0) {
      this.#chunks.push(chunk);
      this.#held += chunk.length;
      if (this.#held < this.#wanted) return;
      bytes = Buffer.concat(this.#chunks, this.#held);
      this.#chunks = [];
      this.#held = 0;
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
    if (at < bytes.length) {
      const rest = bytes.subarray(at);
      this.#chunks.push(rest);
      this.#held = rest.length;
    }
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

const SMALL = 8 << 10;

/** Joins neighbours that are small, so that thousands of small messages become one write and large ones are not copied. */
export function joinSmall(pieces: readonly Uint8Array[]): Uint8Array[] {
  const out: Uint8Array[] = [];
  let run: Uint8Array[] = [];
  const flush = (): void => {
    if (run.length === 1) out.push(run[0]);
    else if (run.length > 1) out.push(Buffer.concat(run));
    run = [];
  };
  for (const piece of pieces) {
    if (piece.length === 0) continue;
    if (piece.length <= SMALL) run.push(piece);
    else {
      flush();
      out.push(piece);
    }
  }
  flush();
  return out;
}
