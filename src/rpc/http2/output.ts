import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  GOAWAY,
  HEADERS,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './frames.ts';

const ARENA = 16 << 10;
/** Payloads up to this size are copied behind their frame's header, larger ones stay where they are. */
const COPIED = 2 << 10;
const PING_BYTES = new Uint8Array(8);

/** Frames that wait for the end of the turn, as the pieces that one write takes. Small ones share memory. */
export class Output {
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #arena = Buffer.allocUnsafeSlow(FRAME_HEADER * 64);
  /** What of the arena is not yet in `#pieces`. */
  #from = 0;
  #to = 0;

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  take(): Uint8Array[] {
    this.#cut();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    return pieces;
  }

  /** Room for `count` bytes that are written by the caller, at the returned offset of the arena. */
  #room(count: number): number {
    if (this.#to + count > this.#arena.length) {
      this.#cut();
      this.#arena = Buffer.allocUnsafeSlow(Math.max(ARENA, count));
      this.#from = 0;
      this.#to = 0;
    }
    const at = this.#to;
    this.#to += count;
    this.#bytes += count;
    return at;
  }

  #cut(): void {
    if (this.#to > this.#from) this.#pieces.push(this.#arena.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  #header(type: number, flags: number, streamId: number, length: number): void {
    const at = this.#room(FRAME_HEADER);
    this.#arena.writeUIntBE(length, at, 3);
    this.#arena[at + 3] = type;
    this.#arena[at + 4] = flags;
    this.#arena.writeUInt32BE(streamId, at + 5);
  }

  #u32(value: number): void {
    const at = this.#room(4);
    this.#arena.writeUInt32BE(value, at);
  }

  bytesOf(piece: Uint8Array): void {
    if (piece.length <= COPIED) {
      const at = this.#room(piece.length);
      this.#arena.set(piece, at);
    } else {
      this.#cut();
      this.#pieces.push(piece);
      this.#bytes += piece.length;
    }
  }

  settings(values: ReadonlyArray<readonly [id: number, value: number]>): void {
    this.#header(SETTINGS, 0, 0, values.length * 6);
    for (const [id, value] of values) {
      const at = this.#room(6);
      this.#arena.writeUInt16BE(id, at);
      this.#arena.writeUInt32BE(value, at + 2);
    }
  }

  settingsAck(): void {
    this.#header(SETTINGS, ACK, 0, 0);
  }

  ping(): void {
    this.#header(PING, 0, 0, PING_BYTES.length);
    this.bytesOf(PING_BYTES);
  }

  pingAck(payload: Uint8Array): void {
    this.#header(PING, ACK, 0, payload.length);
    this.bytesOf(payload);
  }

  windowUpdate(streamId: number, more: number): void {
    this.#header(WINDOW_UPDATE, 0, streamId, 4);
    this.#u32(more);
  }

  reset(streamId: number, code: number): void {
    this.#header(RST_STREAM, 0, streamId, 4);
    this.#u32(code);
  }

  goAway(lastStreamId: number, code: number, text: string): void {
    const debug = Buffer.from(text.slice(0, 1024));
    this.#header(GOAWAY, 0, 0, 8 + debug.length);
    this.#u32(lastStreamId);
    this.#u32(code);
    this.bytesOf(debug);
  }

  headers(streamId: number, block: Uint8Array, maxFrame: number, endStream: boolean): void {
    let at = Math.min(block.length, maxFrame);
    const flags = (endStream ? END_STREAM : 0) | (at === block.length ? END_HEADERS : 0);
    this.#header(HEADERS, flags, streamId, at);
    this.bytesOf(block.subarray(0, at));
    while (at < block.length) {
      const next = Math.min(block.length, at + maxFrame);
      this.#header(CONTINUATION, next === block.length ? END_HEADERS : 0, streamId, next - at);
      this.bytesOf(block.subarray(at, next));
      at = next;
    }
  }

  /** The frame's header; its `length` bytes are to follow with `bytesOf`. */
  data(streamId: number, length: number, endStream: boolean): void {
    this.#header(DATA, endStream ? END_STREAM : 0, streamId, length);
  }
}
