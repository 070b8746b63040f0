import { ConnectionFault, PROTOCOL_ERROR } from './faults.ts';
import { LARGEST_ID } from './frames.ts';
import type { Fields } from './hpack-decoder.ts';
import type { Http2Stream } from './stream.ts';

/** The streams of one connection by number, and requests of ours that wait until the peer allows one more. */
export class StreamTable {
  readonly #isServer: boolean;
  readonly #running = new Map<number, Http2Stream>();
  /** With their headers. */
  readonly #waiting = new Map<Http2Stream, Fields>();
  #nextId = 1;
  #lastPeerId = 0;

  constructor(isServer: boolean) {
    this.#isServer = isServer;
  }

  /** Streams that run. */
  get size(): number {
    return this.#running.size;
  }

  get isEmpty(): boolean {
    return this.#running.size === 0 && this.#waiting.size === 0;
  }

  /** Every number of ours was given out: the next request needs another connection. */
  get isUsedUp(): boolean {
    return this.#nextId > LARGEST_ID;
  }

  /** The last stream that the peer has opened, 0 for none. */
  get lastPeerId(): number {
    return this.#lastPeerId;
  }

  get(streamId: number): Http2Stream | undefined {
    return this.#running.get(streamId);
  }

  running(): IterableIterator<Http2Stream> {
    return this.#running.values();
  }

  waiting(): IterableIterator<Http2Stream> {
    return this.#waiting.keys();
  }

  /** The stream that has the most of what nobody has taken, or of what has not left. */
  largest(of: 'held' | 'unsent'): Http2Stream | undefined {
    let largest: Http2Stream | undefined;
    for (const streams of [this.#running.values(), this.#waiting.keys()]) {
      for (const stream of streams) if (largest === undefined || stream[of] > largest[of]) largest = stream;
    }
    return largest;
  }

  /** The stream, or undefined for one that is over. Throws a ConnectionFault for one that nobody has opened. */
  known(streamId: number): Http2Stream | undefined {
    const stream = this.#running.get(streamId);
    const isIdle = streamId % 2 === 0 || (this.#isServer ? streamId > this.#lastPeerId : streamId >= this.#nextId);
    if (stream === undefined && isIdle)
      throw new ConnectionFault(PROTOCOL_ERROR, `stream ${streamId} was never opened`);
    return stream;
  }

  /** Headers of it are a new request, whatever becomes of that: the number is used from now on. */
  isNew(streamId: number): boolean {
    if (!this.#isServer || streamId % 2 === 0 || streamId <= this.#lastPeerId) return false;
    this.#lastPeerId = streamId;
    return true;
  }

  /** A request of the peer. */
  accept(stream: Http2Stream): void {
    this.#running.set(stream.id, stream);
  }

  /** A request of ours, which is given its number. */
  open(stream: Http2Stream): void {
    stream.id = this.#nextId;
    this.#nextId += 2;
    this.#running.set(stream.id, stream);
  }

  wait(stream: Http2Stream, fields: Fields): void {
    this.#waiting.set(stream, fields);
  }

  /** The request that has waited longest; it waits no more. */
  next(): [stream: Http2Stream, fields: Fields] | undefined {
    for (const first of this.#waiting) {
      this.#waiting.delete(first[0]);
      return first;
    }
    return undefined;
  }

  remove(stream: Http2Stream): void {
    this.#running.delete(stream.id);
    this.#waiting.delete(stream);
  }
}
