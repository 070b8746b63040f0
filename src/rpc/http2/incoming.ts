import { ENHANCE_YOUR_CALM, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED, StreamFault } from './faults.ts';
import { checkRequest, checkResponse, checkTrailers } from './fields.ts';
import type { Fields } from './hpack-decoder.ts';
import type { Intake } from './intake.ts';
import { MAX_STREAMS } from './limits.ts';
import type { Nuisance } from './nuisance.ts';
import type { Received } from './receiver.ts';
import type { Http2Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';

/** What is the connection's to do with what comes in. */
export interface Home {
  /** Nothing is told any more. */
  isOver(): boolean;
  /** No new streams are taken. */
  isClosing(): boolean;
  /** Makes the stream of a request, and hands it out. */
  accept(streamId: number, fields: Fields): Http2Stream;
  /** The peer's half has ended. */
  remoteEnded(stream: Http2Stream): void;
  close(stream: Http2Stream, code: number): void;
  /** Resets a stream that is none. */
  refuse(streamId: number, code: number): void;
  settings(payload: Uint8Array): void;
  ping(payload: Uint8Array): void;
  goAway(lastStreamId: number, code: number, text: string): void;
  /** Undefined: the connection's window. */
  widen(stream: Http2Stream | undefined, more: number): void;
}

/** The peer's half of every stream: which headers and data may come in which order (RFC 9113, 5.1 and 8.1). */
export class Incoming implements Received {
  readonly #isServer: boolean;
  readonly #streams: StreamTable;
  readonly #intake: Intake;
  readonly #nuisance: Nuisance;
  readonly #home: Home;
  /** Of the DATA frame that is being read. */
  #dataStream: Http2Stream | undefined;
  #dataLength = 0;

  constructor(isServer: boolean, streams: StreamTable, intake: Intake, nuisance: Nuisance, home: Home) {
    this.#isServer = isServer;
    this.#streams = streams;
    this.#intake = intake;
    this.#nuisance = nuisance;
    this.#home = home;
  }

  dataBegin(streamId: number, length: number): void {
    this.#dataStream = undefined;
    this.#dataLength = length;
    const stream = this.#streams.known(streamId);
    this.#intake.enter(length);
    if (stream === undefined) return;
    if (stream.remoteEnded) throw new StreamFault(STREAM_CLOSED, 'data after the end');
    if (!this.#isServer && !stream.responded) throw new StreamFault(PROTOCOL_ERROR, 'data before headers');
    this.#intake.enterStream(stream, length);
    this.#dataStream = stream;
  }

  data(piece: Uint8Array): void {
    const stream = this.#dataStream;
    if (stream !== undefined && !stream.closed) this.#intake.hand(stream, piece);
  }

  dataEnd(endStream: boolean): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    this.#intake.leave(this.#dataLength);
    if (stream === undefined || stream.closed) return;
    if (endStream) this.#home.remoteEnded(stream);
    else this.#intake.leaveStream(stream, this.#dataLength);
  }

  headers(streamId: number, fields: Fields | undefined, endStream: boolean): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (this.#streams.isNew(streamId)) this.#request(streamId, fields, endStream);
      else this.#streams.known(streamId);
      return;
    }
    if (stream.remoteEnded) throw new StreamFault(STREAM_CLOSED, 'headers after the end');
    if (fields === undefined) throw new StreamFault(ENHANCE_YOUR_CALM, 'the header list is too large');
    if (!this.#isServer && !stream.responded) this.#response(stream, fields, endStream);
    else {
      if (!endStream) throw new StreamFault(PROTOCOL_ERROR, 'trailers that are not the end');
      checkTrailers(fields);
      stream.events.trailers?.(fields);
    }
    this.#endIf(endStream, stream);
  }

  #request(streamId: number, fields: Fields | undefined, endStream: boolean): void {
    if (this.#home.isClosing()) throw new StreamFault(REFUSED_STREAM, 'the connection takes no more streams');
    if (this.#streams.size >= MAX_STREAMS) throw new StreamFault(REFUSED_STREAM, 'too many streams');
    if (fields === undefined) throw new StreamFault(ENHANCE_YOUR_CALM, 'the header list is too large');
    checkRequest(fields);
    this.#endIf(endStream, this.#home.accept(streamId, fields));
  }

  #response(stream: Http2Stream, fields: Fields, endStream: boolean): void {
    const status = checkResponse(fields);
    if (status < 200) {
      if (endStream) throw new StreamFault(PROTOCOL_ERROR, 'an interim response is not the end');
      this.#nuisance.count('interim responses');
      return;
    }
    stream.responded = true;
    stream.events.response?.(fields, status);
  }

  #endIf(endStream: boolean, stream: Http2Stream): void {
    if (endStream && !stream.closed) this.#home.remoteEnded(stream);
  }

  reset(streamId: number, code: number): void {
    const stream = this.#streams.known(streamId);
    if (stream !== undefined) this.#home.close(stream, code);
  }

  windowUpdate(streamId: number, more: number): void {
    const stream = streamId === 0 ? undefined : this.#streams.known(streamId);
    if (stream === undefined && streamId !== 0) return;
    if (more === 0) throw new StreamFault(PROTOCOL_ERROR, 'window update of nothing');
    this.#home.widen(stream, more);
  }

  streamFault(streamId: number, fault: StreamFault): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) this.#home.refuse(streamId, fault.code);
    else stream.reset(fault.code);
  }

  isOver(): boolean {
    return this.#home.isOver();
  }

  settings(payload: Uint8Array): void {
    this.#home.settings(payload);
  }

  ping(payload: Uint8Array): void {
    this.#home.ping(payload);
  }

  goAway(lastStreamId: number, code: number, text: string): void {
    this.#home.goAway(lastStreamId, code, text);
  }
}
