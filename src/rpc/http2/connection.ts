import { logger } from '../../base/index.ts';
import {
  ConnectionFault,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  INTERNAL_ERROR,
  NO_ERROR,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  STREAM_CLOSED,
  StreamFault,
} from './faults.ts';
import { checkRequest, checkResponse, checkTrailers } from './fields.ts';
import { FrameReader } from './frame-reader.ts';
import type { FrameSink } from './frame-reader.ts';
import * as frame from './frames.ts';
import { HeaderBlock } from './header-block.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import type { Fields } from './hpack-decoder.ts';
import {
  MAX_FRAME,
  MAX_HEADER_LIST,
  MAX_HELD,
  MAX_STREAMS,
  MAX_UNSENT_ANSWERS,
  WINDOW,
  WINDOW_STEP,
} from './limits.ts';
import type { Link } from './link.ts';
import { Nuisance } from './nuisance.ts';
import { Output } from './output.ts';
import { PeerSettings } from './peer-settings.ts';
import { Sender } from './sender.ts';
import { Http2Stream } from './stream.ts';
import type { StreamEvents, StreamHost } from './stream.ts';

/** Sizes that frames must have. */
const SIZES: ReadonlyMap<number, number> = new Map([
  [frame.PRIORITY, 5],
  [frame.RST_STREAM, 4],
  [frame.PING, 8],
  [frame.WINDOW_UPDATE, 4],
]);
/** Frames of the connection itself; those of the others belong to a stream. */
const OF_CONNECTION = new Set([frame.SETTINGS, frame.PING, frame.GOAWAY]);

/** One connection, either end of it: frames in from a link, streams out, and back. It owns the link. */
export class Http2Connection implements FrameSink, StreamHost {
  readonly #link: Link;
  readonly #isServer: boolean;
  readonly #onRequest: ((stream: Http2Stream, fields: Fields) => void) | undefined;
  readonly #reader = new FrameReader(this);
  readonly #decoder = new HpackDecoder();
  readonly #nuisance = new Nuisance();
  readonly #peer: PeerSettings;
  readonly #output = new Output();
  readonly #sender: Sender;
  readonly #streams = new Map<number, Http2Stream>();
  /** Requests of ours that wait until the peer allows one more stream, with their headers. */
  readonly #waiting = new Map<Http2Stream, Fields>();
  #block: HeaderBlock | undefined;
  /** Bytes of the client's preface that have come. */
  #prefaced: number;
  #hasSettings = false;
  #nextId = 1;
  #lastPeerId = 0;
  #receiveWindow = WINDOW;
  #uncredited = 0;
  #held = 0;
  #dataStream: Http2Stream | undefined;
  #dataLength = 0;
  #scheduled = false;
  #isFull = false;
  #closing = false;
  /** Nothing is read or sent any more. */
  #over = false;
  /** Why it is over, where somebody is at fault. */
  lost: Error | undefined;
  /** Resolves when the link has ended. */
  readonly closed: Promise<void>;

  /** `onRequest` makes it a server; it must set the stream's events. */
  constructor(link: Link, onRequest?: (stream: Http2Stream, fields: Fields) => void) {
    this.#link = link;
    this.#onRequest = onRequest;
    this.#isServer = onRequest !== undefined;
    this.#peer = new PeerSettings(!this.#isServer);
    this.#sender = new Sender(this.#output, this.#peer);
    this.#sender.onEnded = (stream) => {
      stream.events.ended?.();
      this.#closeIfComplete(stream);
    };
    this.#prefaced = this.#isServer ? 0 : frame.PREFACE.length;
    this.closed = new Promise((resolve) => {
      link.start({
        data: (chunk) => this.#receive(chunk),
        drain: () => {
          this.#isFull = false;
          this.#flush();
        },
        end: () => this.destroy(),
        closed: (error) => {
          this.lost ??= error;
          this.#endStreams(undefined);
          this.#over = true;
          resolve();
        },
      });
    });
    this.#greet();
  }

  #greet(): void {
    if (!this.#isServer) this.#output.bytesOf(frame.PREFACE);
    this.#output.settings([
      ...(this.#isServer ? [] : ([[frame.SETTINGS_ENABLE_PUSH, 0]] as const)),
      [frame.SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS],
      [frame.SETTINGS_INITIAL_WINDOW_SIZE, WINDOW],
      [frame.SETTINGS_MAX_FRAME_SIZE, MAX_FRAME],
      [frame.SETTINGS_MAX_HEADER_LIST_SIZE, MAX_HEADER_LIST],
    ]);
    this.#output.windowUpdate(0, WINDOW - frame.DEFAULT_WINDOW);
    this.#schedule();
  }

  /** Neither closed nor about to be: it takes new requests. */
  get isOpen(): boolean {
    return !this.#over && !this.#closing;
  }

  /** A client's request; more may be written to it. Throws when it cannot be made. */
  request(fields: Fields, events: StreamEvents): Http2Stream {
    if (!this.isOpen) throw new Error('the connection takes no more requests');
    let size = 0;
    for (const text of fields) size += text.length + 16;
    if (size > MAX_HEADER_LIST) throw new Error(`the header list of ${size} bytes is too large`);
    const stream = new Http2Stream(this, 0, this.#peer.window);
    stream.events = events;
    stream.headersSent = true;
    if (this.#streams.size < this.#peer.maxStreams) this.#open(stream, fields);
    else this.#waiting.set(stream, fields);
    return stream;
  }

  #open(stream: Http2Stream, fields: Fields): void {
    stream.id = this.#nextId;
    stream.sendWindow = this.#peer.window;
    this.#nextId += 2;
    // The last id there is: the next call needs another connection.
    if (this.#nextId > frame.LARGEST_ID) this.#closing = true;
    this.#streams.set(stream.id, stream);
    this.#sender.headers(stream, fields, false);
    this.ready(stream);
  }

  /** Takes no new streams, and ends when those that run have ended. */
  close(): void {
    if (this.#over) return;
    if (!this.#closing) this.#output.goAway(this.#lastPeerId, NO_ERROR, '');
    this.#closing = true;
    this.#schedule();
    this.#endIfIdle();
  }

  /** Ends at once; what was given out before still leaves. */
  destroy(): void {
    if (this.#over) return;
    this.#endStreams(undefined);
    this.#finish();
  }

  #fail(code: number, error: Error): void {
    if (this.#over) return;
    logger.debug('connection failed', { error });
    this.lost ??= error;
    this.#output.goAway(this.#lastPeerId, code, error.message);
    this.#endStreams(undefined);
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#flush();
    this.#over = true;
    this.#link.end();
  }

  #endStreams(code: number | undefined, behind = 0): void {
    for (const stream of this.#waiting.keys()) this.#closeStream(stream, code);
    for (const stream of this.#streams.values()) if (stream.id > behind) this.#closeStream(stream, code);
  }

  #endIfIdle(): void {
    if (this.#closing && this.#streams.size === 0 && this.#waiting.size === 0) this.#finish();
  }

  // What is read.

  #receive(chunk: Uint8Array): void {
    if (this.#over) return;
    try {
      const rest = this.#prefaced < frame.PREFACE.length ? this.#preface(chunk) : chunk;
      if (rest.length > 0) this.#reader.push(rest);
    } catch (error) {
      this.#fail(error instanceof ConnectionFault ? error.code : INTERNAL_ERROR, error as Error);
    }
  }

  #preface(chunk: Uint8Array): Uint8Array {
    let at = 0;
    for (; at < chunk.length && this.#prefaced < frame.PREFACE.length; at++) {
      if (chunk[at] !== frame.PREFACE[this.#prefaced++]) throw new ConnectionFault(PROTOCOL_ERROR, 'not HTTP/2');
    }
    return chunk.subarray(at);
  }

  begin(type: number, flags: number, streamId: number, length: number): boolean {
    if (this.#over) return false;
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

  payload(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    if (this.#over) return;
    try {
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
          this.#onReset(streamId, frame.readU32(payload, 0));
          break;
        case frame.SETTINGS:
          this.#onSettings(flags, payload);
          break;
        case frame.PING:
          if ((flags & frame.ACK) === 0) {
            this.#output.pingAck(payload);
            this.#schedule();
          }
          break;
        case frame.GOAWAY:
          this.#onGoAway(payload);
          break;
        case frame.WINDOW_UPDATE:
          this.#onWindowUpdate(streamId, frame.readU32(payload, 0) & frame.LARGEST_WINDOW);
          break;
        default:
          throw new ConnectionFault(PROTOCOL_ERROR, 'pushed streams were not asked for');
      }
    } catch (error) {
      this.#forgive(streamId, error);
    }
  }

  /** A fault of a stream ends just that one. */
  #forgive(streamId: number, error: unknown): void {
    if (!(error instanceof StreamFault)) throw error;
    this.#nuisance.count('faults');
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) stream.reset(error.code);
    else this.#refuse(streamId, error.code);
  }

  #refuse(streamId: number, code: number): void {
    this.#output.reset(streamId, code);
    this.#schedule();
  }

  /** Neither side has used it yet: what a peer says of it is nonsense. */
  #isIdle(streamId: number): boolean {
    return streamId % 2 === 0 || (this.#isServer ? streamId > this.#lastPeerId : streamId >= this.#nextId);
  }

  /** The stream, or undefined for one that is over. */
  #known(streamId: number): Http2Stream | undefined {
    const stream = this.#streams.get(streamId);
    if (stream === undefined && this.#isIdle(streamId))
      throw new ConnectionFault(PROTOCOL_ERROR, `stream ${streamId} was never opened`);
    return stream;
  }

  // Data.

  #beginData(streamId: number, flags: number, length: number): void {
    const stream = this.#known(streamId);
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0) throw new ConnectionFault(FLOW_CONTROL_ERROR, 'more data than the connection takes');
    if (length === 0 && (flags & frame.END_STREAM) === 0) this.#nuisance.count('empty frames');
    this.#dataStream = undefined;
    this.#dataLength = length;
    if (stream === undefined) return;
    try {
      if (stream.remoteEnded) throw new StreamFault(STREAM_CLOSED, 'data after the end');
      if (!this.#isServer && !stream.responded) throw new StreamFault(PROTOCOL_ERROR, 'data before headers');
      stream.receiveWindow -= length;
      if (stream.receiveWindow < 0) throw new StreamFault(FLOW_CONTROL_ERROR, 'more data than the stream takes');
      this.#dataStream = stream;
    } catch (error) {
      this.#forgive(streamId, error);
    }
  }

  data(piece: Uint8Array): void {
    const stream = this.#dataStream;
    if (stream === undefined || stream.closed) return;
    stream.held += piece.length;
    this.#held += piece.length;
    stream.events.data(piece);
  }

  dataEnd(endStream: boolean): void {
    if (this.#over) return;
    this.#uncredited += this.#dataLength;
    this.#credit();
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (stream === undefined || stream.closed) return;
    stream.uncredited += this.#dataLength;
    if (endStream) this.#endRemote(stream);
    else this.#creditStream(stream);
  }

  #credit(): void {
    if (this.#uncredited < WINDOW_STEP || this.#held > MAX_HELD) return;
    this.#output.windowUpdate(0, this.#uncredited);
    this.#receiveWindow += this.#uncredited;
    this.#uncredited = 0;
    this.#schedule();
  }

  #creditStream(stream: Http2Stream): void {
    if (stream.uncredited < WINDOW_STEP || stream.paused || stream.remoteEnded) return;
    this.#output.windowUpdate(stream.id, stream.uncredited);
    stream.receiveWindow += stream.uncredited;
    stream.uncredited = 0;
    this.#schedule();
  }

  // Headers.

  #headersIfComplete(): void {
    const block = this.#block;
    if (block === undefined || !block.isComplete) return;
    this.#block = undefined;
    const bytes = block.bytes();
    const fields = this.#decoder.decode(bytes);
    const { streamId, endStream } = block;
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (this.#isServer && streamId % 2 === 1 && streamId > this.#lastPeerId)
        this.#onRequestHeaders(streamId, fields, endStream);
      else this.#known(streamId);
      return;
    }
    if (stream.remoteEnded) throw new StreamFault(STREAM_CLOSED, 'headers after the end');
    if (fields === undefined) throw new StreamFault(ENHANCE_YOUR_CALM, 'the header list is too large');
    if (!this.#isServer && !stream.responded) this.#onResponse(stream, fields, endStream);
    else {
      if (!endStream) throw new StreamFault(PROTOCOL_ERROR, 'trailers that are not the end');
      checkTrailers(fields);
      stream.events.trailers?.(fields);
    }
    if (endStream && !stream.closed) this.#endRemote(stream);
  }

  #onRequestHeaders(streamId: number, fields: Fields | undefined, endStream: boolean): void {
    this.#lastPeerId = streamId;
    if (this.#closing) {
      this.#refuse(streamId, REFUSED_STREAM);
      return;
    }
    if (this.#streams.size >= MAX_STREAMS) throw new StreamFault(REFUSED_STREAM, 'too many streams');
    if (fields === undefined) throw new StreamFault(ENHANCE_YOUR_CALM, 'the header list is too large');
    checkRequest(fields);
    const stream = new Http2Stream(this, streamId, this.#peer.window);
    this.#streams.set(streamId, stream);
    this.#onRequest?.(stream, fields);
    if (endStream && !stream.closed) this.#endRemote(stream);
  }

  #onResponse(stream: Http2Stream, fields: Fields, endStream: boolean): void {
    const status = checkResponse(fields);
    if (status < 200) {
      if (endStream) throw new StreamFault(PROTOCOL_ERROR, 'an interim response is not the end');
      this.#nuisance.count('interim responses');
      return;
    }
    stream.responded = true;
    stream.events.response?.(fields, status);
  }

  // Everything else.

  #onReset(streamId: number, code: number): void {
    this.#nuisance.count('resets');
    const stream = this.#known(streamId);
    if (stream !== undefined) this.#closeStream(stream, code);
  }

  #onSettings(flags: number, payload: Uint8Array): void {
    if ((flags & frame.ACK) !== 0) {
      if (payload.length > 0) throw new ConnectionFault(FRAME_SIZE_ERROR, 'SETTINGS of a wrong size');
      return;
    }
    this.#nuisance.count('settings');
    this.#hasSettings = true;
    const before = this.#peer.window;
    this.#peer.apply(payload);
    this.#output.settingsAck();
    this.#schedule();
    if (this.#peer.window !== before) {
      for (const stream of this.#streams.values()) {
        if (stream.sendWindow + this.#peer.window - before > frame.LARGEST_WINDOW)
          throw new ConnectionFault(FLOW_CONTROL_ERROR, 'window of a stream overflows');
        this.#sender.widenStream(stream, this.#peer.window - before);
      }
    }
    this.#openWaiting();
  }

  #onGoAway(payload: Uint8Array): void {
    const last = frame.readU32(payload, 0) & frame.LARGEST_ID;
    const code = frame.readU32(payload, 4);
    if (code !== NO_ERROR) {
      const text = Buffer.from(payload.subarray(8, 1024)).toString('utf8');
      this.lost ??= new ConnectionFault(code, `the peer ended the connection: code ${code} ${JSON.stringify(text)}`);
    }
    this.#closing = true;
    // Those behind it the peer has not looked at.
    if (!this.#isServer) this.#endStreams(REFUSED_STREAM, last);
    this.#endIfIdle();
  }

  #onWindowUpdate(streamId: number, more: number): void {
    if (streamId === 0) {
      if (more === 0) throw new ConnectionFault(PROTOCOL_ERROR, 'window update of nothing');
      this.#sender.widen(more);
    } else {
      const stream = this.#known(streamId);
      if (stream === undefined) return;
      if (more === 0) throw new StreamFault(PROTOCOL_ERROR, 'window update of nothing');
      this.#sender.widenStream(stream, more);
    }
    if (this.#sender.isReady) this.#schedule();
  }

  // Streams end.

  #endRemote(stream: Http2Stream): void {
    stream.remoteEnded = true;
    stream.events.end();
    this.#closeIfComplete(stream);
  }

  #closeIfComplete(stream: Http2Stream): void {
    if (stream.localEnded && stream.remoteEnded) this.#closeStream(stream, NO_ERROR);
  }

  #closeStream(stream: Http2Stream, code: number | undefined): void {
    if (stream.closed) return;
    stream.drop();
    this.#held -= stream.held;
    this.#streams.delete(stream.id);
    this.#waiting.delete(stream);
    this.#sender.forget(stream);
    stream.events.close(code);
    if (this.#over) return;
    this.#credit();
    this.#openWaiting();
    this.#endIfIdle();
  }

  #openWaiting(): void {
    for (const [stream, fields] of this.#waiting) {
      if (this.#streams.size >= this.#peer.maxStreams || this.#over) return;
      this.#waiting.delete(stream);
      this.#open(stream, fields);
    }
  }

  // What streams ask for.

  sendHeaders(stream: Http2Stream, fields: Fields): void {
    this.#sender.headers(stream, fields, false);
    this.#schedule();
  }

  ready(stream: Http2Stream): void {
    this.#sender.queue(stream);
    this.#schedule();
  }

  reset(stream: Http2Stream, code: number): void {
    if (stream.id !== 0) this.#refuse(stream.id, code);
    this.#closeStream(stream, code);
  }

  taken(stream: Http2Stream, bytes: number): void {
    stream.held -= bytes;
    this.#held -= bytes;
    this.#credit();
    this.#creditStream(stream);
  }

  // What is written: all of one turn together.

  #schedule(): void {
    if (this.#scheduled || this.#over) return;
    this.#scheduled = true;
    process.nextTick(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#over) return;
    if (!this.#isFull) this.#sender.fill();
    if (this.#output.bytes > 0) this.#isFull = !this.#link.write(this.#output.take());
    if (this.#link.unsent > MAX_UNSENT_ANSWERS) {
      this.lost ??= new ConnectionFault(ENHANCE_YOUR_CALM, 'the peer does not read what it asks for');
      this.#endStreams(undefined);
      this.#over = true;
      this.#link.destroy(this.lost);
    } else if (!this.#isFull && this.#sender.isReady && !this.#scheduled) {
      // The windows allow more than one write's worth: others have their turn in between.
      this.#scheduled = true;
      setImmediate(() => this.#flush());
    }
  }
}
