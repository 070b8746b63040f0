import { ConnectionFault, FRAME_SIZE_ERROR, PROTOCOL_ERROR, StreamFault } from './faults.ts';
import { FrameReader } from './frame-reader.ts';
import type { FrameSink } from './frame-reader.ts';
import * as frame from './frames.ts';
import { HeaderBlock } from './header-block.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import type { Fields } from './hpack-decoder.ts';
import { Nuisance } from './nuisance.ts';

/** Sizes that frames must have. */
const SIZES: ReadonlyMap<number, number> = new Map([
  [frame.PRIORITY, 5],
  [frame.RST_STREAM, 4],
  [frame.PING, 8],
  [frame.WINDOW_UPDATE, 4],
]);
/** Frames of the connection itself; those of the others belong to a stream. */
const OF_CONNECTION = new Set([frame.SETTINGS, frame.PING, frame.GOAWAY]);

/** What a receiver tells, in the order of the wire. All but `isOver` may throw either fault. */
export interface Received {
  /** Nothing is to be told any more. */
  isOver(): boolean;
  /** A frame of DATA begins, padding included in its length. */
  dataBegin(streamId: number, length: number): void;
  data(piece: Uint8Array): void;
  dataEnd(endStream: boolean): void;
  /** Undefined: the list was too large. */
  headers(streamId: number, fields: Fields | undefined, endStream: boolean): void;
  reset(streamId: number, code: number): void;
  settings(payload: Uint8Array): void;
  ping(payload: Uint8Array): void;
  goAway(lastStreamId: number, code: number, text: string): void;
  windowUpdate(streamId: number, more: number): void;
  /** The stream alone is at fault. */
  streamFault(streamId: number, fault: StreamFault): void;
}

/** Bytes of a connection to what they mean: the preface, and which frames may follow each other, in which sizes. */
export class Receiver implements FrameSink {
  readonly #isServer: boolean;
  readonly #to: Received;
  readonly #nuisance: Nuisance;
  readonly #reader = new FrameReader(this);
  readonly #decoder = new HpackDecoder();
  #block: HeaderBlock | undefined;
  /** Bytes of the client's preface that have come. */
  #prefaced: number;
  #hasSettings = false;

  constructor(isServer: boolean, nuisance: Nuisance, to: Received) {
    this.#isServer = isServer;
    this.#to = to;
    this.#nuisance = nuisance;
    this.#prefaced = isServer ? 0 : frame.PREFACE.length;
  }

  /** Throws a ConnectionFault, or what the one who is told throws: nothing more can be read then. */
  push(chunk: Uint8Array): void {
    const rest = this.#prefaced < frame.PREFACE.length ? this.#preface(chunk) : chunk;
    if (rest.length > 0) this.#reader.push(rest);
  }

  #preface(chunk: Uint8Array): Uint8Array {
    let at = 0;
    for (; at < chunk.length && this.#prefaced < frame.PREFACE.length; at++) {
      if (chunk[at] !== frame.PREFACE[this.#prefaced++]) throw new ConnectionFault(PROTOCOL_ERROR, 'not HTTP/2');
    }
    return chunk.subarray(at);
  }

  begin(type: number, flags: number, streamId: number, length: number): boolean {
    if (this.#to.isOver()) return false;
    if (!this.#hasSettings && (type !== frame.SETTINGS || (flags & frame.ACK) !== 0))
      throw new ConnectionFault(PROTOCOL_ERROR, 'the first frame is not SETTINGS');
    if (this.#block !== undefined && (type !== frame.CONTINUATION || streamId !== this.#block.streamId))
      throw new ConnectionFault(PROTOCOL_ERROR, 'a header block is interrupted');
    if (type > frame.CONTINUATION) return false;
    if (type !== frame.WINDOW_UPDATE && OF_CONNECTION.has(type) !== (streamId === 0))
      throw new ConnectionFault(PROTOCOL_ERROR, `frame of type ${type} on stream ${streamId}`);
    const size = SIZES.get(type) ?? length;
    if (length !== size || (type === frame.GOAWAY && length < 8))
      throw new ConnectionFault(FRAME_SIZE_ERROR, `frame of type ${type} has ${length} bytes`);
    if (type === frame.DATA) this.#beginData(streamId, flags, length);
    return type !== frame.PRIORITY;
  }

  #beginData(streamId: number, flags: number, length: number): void {
    if (length === 0 && (flags & frame.END_STREAM) === 0) this.#nuisance.count('empty frames');
    try {
      this.#to.dataBegin(streamId, length);
    } catch (error) {
      this.#forgive(streamId, error);
    }
  }

  data(piece: Uint8Array): void {
    if (!this.#to.isOver()) this.#to.data(piece);
  }

  dataEnd(endStream: boolean): void {
    if (!this.#to.isOver()) this.#to.dataEnd(endStream);
  }

  payload(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    if (this.#to.isOver()) return;
    try {
      this.#whole(type, flags, streamId, payload);
    } catch (error) {
      this.#forgive(streamId, error);
    }
  }

  #whole(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    const to = this.#to;
    switch (type) {
      case frame.HEADERS:
        this.#block = new HeaderBlock(streamId, flags, payload);
        this.#headersIfComplete();
        break;
      case frame.CONTINUATION:
        if (this.#block === undefined) throw new ConnectionFault(PROTOCOL_ERROR, 'nothing to continue');
        this.#block.add(flags, payload);
        this.#headersIfComplete();
        break;
      case frame.RST_STREAM:
        // A server that resets what it was asked for costs its client nothing.
        if (this.#isServer) this.#nuisance.count('resets');
        to.reset(streamId, frame.readU32(payload, 0));
        break;
      case frame.SETTINGS:
        if ((flags & frame.ACK) === 0) this.#settings(payload);
        else if (payload.length > 0) throw new ConnectionFault(FRAME_SIZE_ERROR, 'SETTINGS of a wrong size');
        break;
      case frame.PING:
        if ((flags & frame.ACK) === 0) to.ping(payload);
        break;
      case frame.GOAWAY: {
        const text = Buffer.from(payload.subarray(8, 1024)).toString('utf8');
        to.goAway(frame.readU32(payload, 0) & frame.LARGEST_ID, frame.readU32(payload, 4), text);
        break;
      }
      case frame.WINDOW_UPDATE:
        this.#windowUpdate(streamId, frame.readU32(payload, 0) & frame.LARGEST_WINDOW);
        break;
      default:
        throw new ConnectionFault(PROTOCOL_ERROR, 'pushed streams were not asked for');
    }
  }

  #headersIfComplete(): void {
    const block = this.#block;
    if (block === undefined || !block.isComplete) return;
    this.#block = undefined;
    // Whatever the stream: the table that they fill is the connection's.
    this.#to.headers(block.streamId, this.#decoder.decode(block.bytes()), block.endStream);
  }

  #settings(payload: Uint8Array): void {
    this.#nuisance.count('settings');
    this.#hasSettings = true;
    this.#to.settings(payload);
  }

  #windowUpdate(streamId: number, more: number): void {
    if (more === 0 && streamId === 0) throw new ConnectionFault(PROTOCOL_ERROR, 'window update of nothing');
    this.#to.windowUpdate(streamId, more);
  }

  /** A fault of a stream ends just that one. */
  #forgive(streamId: number, error: unknown): void {
    if (!(error instanceof StreamFault)) throw error;
    this.#nuisance.count('faults');
    this.#to.streamFault(streamId, error);
  }
}
