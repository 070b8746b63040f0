import { ConnectionFault, FRAME_SIZE_ERROR, PROTOCOL_ERROR } from './faults.ts';
import { DATA, END_STREAM, FRAME_HEADER, LARGEST_ID, PADDED, readU32 } from './frames.ts';
import { MAX_FRAME } from './limits.ts';

/** What a reader tells, in the order of the bytes. A fault that is thrown ends the reading. */
export interface FrameSink {
  /** Every frame, before its payload. True when the payload is wanted; one of DATA always comes. */
  begin(type: number, flags: number, streamId: number, length: number): boolean;
  /** The whole payload of a frame that was wanted. Valid during the call only. */
  payload(type: number, flags: number, streamId: number, payload: Uint8Array): void;
  /** A piece of a DATA frame without its padding, a view of what was read. */
  data(piece: Uint8Array): void;
  /** The DATA frame is complete. */
  dataEnd(endStream: boolean): void;
}

/** Cuts a byte stream into frames. It holds one unfinished frame at most, and of DATA nothing. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #header = new Uint8Array(FRAME_HEADER);
  #headerBytes = 0;
  #inFrame = false;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Bytes of the frame that are still to come, padding included. */
  #left = 0;
  #wanted = false;
  #payload: Uint8Array | undefined;
  #payloadBytes = 0;
  /** Of DATA: -1 while the byte that tells it has not come. */
  #padding = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    for (;;) {
      if (!this.#inFrame) {
        const missing = FRAME_HEADER - this.#headerBytes;
        if (missing === FRAME_HEADER && chunk.length - at >= FRAME_HEADER) {
          this.#begin(chunk, at);
          at += FRAME_HEADER;
        } else {
          const some = chunk.subarray(at, at + missing);
          this.#header.set(some, this.#headerBytes);
          this.#headerBytes += some.length;
          at += some.length;
          if (some.length < missing) return;
          this.#headerBytes = 0;
          this.#begin(this.#header, 0);
        }
      }
      at = this.#type === DATA ? this.#takeData(chunk, at) : this.#takeOther(chunk, at);
      if (this.#inFrame) return;
    }
  }

  #begin(bytes: Uint8Array, at: number): void {
    const length = (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
    this.#type = bytes[at + 3];
    this.#flags = bytes[at + 4];
    this.#streamId = readU32(bytes, at + 5) & LARGEST_ID;
    if (length > MAX_FRAME) throw new ConnectionFault(FRAME_SIZE_ERROR, `frame of ${length} bytes is too large`);
    this.#left = length;
    this.#inFrame = true;
    this.#wanted = this.#sink.begin(this.#type, this.#flags, this.#streamId, length);
    if (this.#type !== DATA) return;
    this.#padding = (this.#flags & PADDED) === 0 ? 0 : -1;
    if (this.#padding < 0 && length === 0) throw new ConnectionFault(FRAME_SIZE_ERROR, 'padding without its length');
  }

  #takeData(chunk: Uint8Array, from: number): number {
    let at = from;
    if (this.#padding < 0) {
      if (at === chunk.length) return at;
      this.#padding = chunk[at++];
      this.#left--;
      if (this.#padding > this.#left) throw new ConnectionFault(PROTOCOL_ERROR, 'more padding than payload');
    }
    const body = Math.min(this.#left - this.#padding, chunk.length - at);
    if (body > 0) {
      this.#sink.data(chunk.subarray(at, at + body));
      at += body;
      this.#left -= body;
    }
    if (this.#left <= this.#padding) {
      const padding = Math.min(this.#left, chunk.length - at);
      at += padding;
      this.#left -= padding;
      this.#padding = this.#left;
    }
    if (this.#left === 0) {
      this.#inFrame = false;
      this.#sink.dataEnd((this.#flags & END_STREAM) !== 0);
    }
    return at;
  }

  #takeOther(chunk: Uint8Array, at: number): number {
    const here = Math.min(this.#left, chunk.length - at);
    const whole = this.#payloadBytes === 0 && here === this.#left;
    this.#left -= here;
    if (this.#wanted && !whole) {
      this.#payload ??= Buffer.allocUnsafeSlow(here + this.#left);
      this.#payload.set(chunk.subarray(at, at + here), this.#payloadBytes);
      this.#payloadBytes += here;
    }
    if (this.#left === 0) {
      const payload = whole ? chunk.subarray(at, at + here) : this.#payload;
      this.#inFrame = false;
      this.#payload = undefined;
      this.#payloadBytes = 0;
      if (this.#wanted) this.#sink.payload(this.#type, this.#flags, this.#streamId, payload as Uint8Array);
    }
    return at + here;
  }
}
