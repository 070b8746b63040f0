import { BuildError, internal } from '../base/index.ts';
import type { Code } from '../base/index.ts';
import { BytesDecoder } from './bytes-decoder.ts';
import { FrameDecoder } from './framing.ts';
import type { Cutter } from './framing.ts';
import { HeldBytes } from './held-bytes.ts';
import type { Http2Stream } from './http2/index.ts';
import { MAX_UNREAD } from './limits.ts';
import type { MessageReader, MessageType } from './types.ts';

/** What a message costs beyond its bytes. */
const OVERHEAD = 32;
/** Messages that are cut before it is looked at how much waits: many empty ones fit into a few bytes. */
const MAX_CUT = 4096;

/**
 * The receiving half of a stream. It cuts bytes into messages until MAX_UNREAD of them wait, then pauses the stream, and
 * HTTP/2's window stops the peer. Messages that came before an error are still handed out; a local cancel drops them.
 */
export class StreamReader<T> implements MessageReader<T> {
  readonly #stream: Http2Stream;
  readonly #type: MessageType<T>;
  readonly #badMessage: Code;
  readonly #frames: Cutter;
  /** What came while the stream was paused: as messages, small ones would cost many times their bytes. */
  readonly #uncut = new HeldBytes();
  #queue: Uint8Array[] = [];
  #at = 0;
  #unread = 0;
  #ended = false;
  #failure: Error | undefined;
  #wake: Array<() => void> = [];
  #discarding = false;
  #isPouring = false;
  #flow: { each(message: T): void; end(error: Error | undefined): void } | undefined;
  /** Called when the bytes themselves are at fault: the call must end. */
  onFault: ((error: Error) => void) | undefined;

  constructor(stream: Http2Stream, type: MessageType<T>, badMessage: Code) {
    this.#stream = stream;
    this.#type = type;
    this.#frames = type.inParts === true ? new BytesDecoder() : new FrameDecoder();
    this.#badMessage = badMessage;
  }

  receive(chunk: Uint8Array): void {
    if (this.#discarding || this.#failure !== undefined) this.#stream.taken(chunk.length);
    // Behind what waits already, whatever was read in between.
    else if (this.#uncut.length > 0) this.#uncut.push(chunk);
    else {
      this.#cutOrHold(chunk);
      this.#wakeAll();
    }
  }

  #cutOrHold(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.length > 0 && this.#unread <= MAX_UNREAD && !this.#discarding) rest = rest.subarray(this.#cut(rest));
    if (rest.length > 0 && !this.#discarding) this.#uncut.push(rest);
  }

  /** How much of it was cut: all of it, or as many messages as there may be at once. */
  #cut(chunk: Uint8Array): number {
    const before = this.#queue.length;
    let at: number;
    try {
      at = this.#frames.push(chunk, this.#queue, before + MAX_CUT);
    } catch (thrown) {
      const error = thrown instanceof BuildError ? thrown : this.#unreadable(thrown);
      this.finish(error);
      this.discard();
      this.onFault?.(error);
      return chunk.length;
    }
    for (let i = before; i < this.#queue.length; i++) this.#unread += this.#queue[i].length + OVERHEAD;
    const overhead = this.#frames.takeOverhead();
    if (overhead > 0) this.#stream.taken(overhead);
    if (this.#unread > MAX_UNREAD) this.#stream.pause();
    return at;
  }

  /** The end, clean or with the status; what has arrived stays readable. */
  finish(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = error;
    this.#wakeAll();
  }

  /** Ends at once with `error`, forgetting what has arrived. */
  fail(error: Error): void {
    this.#queue = [];
    this.#at = 0;
    this.#unread = 0;
    this.#ended = true;
    this.#failure = error;
    this.#wakeAll();
    this.discard();
  }

  /** Lets the rest flow to nowhere, so that the stream can close. */
  discard(): void {
    this.#discarding = true;
    this.#uncut.take();
    this.#stream.taken(this.#stream.held);
    this.#stream.resume();
  }

  #wakeAll(): void {
    if (this.#flow !== undefined) {
      this.#pour();
      return;
    }
    const wake = this.#wake;
    this.#wake = [];
    for (const w of wake) w();
  }

  flow(each: (message: T) => void, end: (error: Error | undefined) => void): void {
    this.#flow = { each, end };
    this.#pour();
  }

  /** All that waits, and what it made wait, to whom it is told. */
  #pour(): void {
    const flow = this.#flow;
    // What it cuts meanwhile, and how that ends, comes behind what it has.
    if (flow === undefined || this.#isPouring) return;
    this.#isPouring = true;
    while (this.#at < this.#queue.length) {
      const bytes = this.#next();
      try {
        flow.each(this.#decode(bytes));
      } catch {
        break; // it has failed with that
      }
    }
    this.#isPouring = false;
    if (!this.#ended) return;
    this.#flow = undefined;
    flow.end(this.#failure ?? this.#cutShort());
  }

  /** What the clean end of the stream is in the middle of a message. */
  #cutShort(): Error | undefined {
    return this.#frames.isEmpty ? undefined : internal('unexpected end of a message');
  }

  /** False at the clean end. */
  async #available(): Promise<boolean> {
    while (this.#at >= this.#queue.length) {
      if (this.#ended) {
        const error = this.#failure ?? this.#cutShort();
        if (error !== undefined) throw error;
        return false;
      }
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    return true;
  }

  /** `bytes` of `count` messages. */
  #taken(bytes: number, count: number): void {
    this.#unread -= bytes + count * OVERHEAD;
    if (this.#discarding) return;
    this.#stream.taken(bytes);
    if (this.#unread > MAX_UNREAD / 2) return;
    if (this.#uncut.length > 0) this.#cutHeld();
    if (this.#unread <= MAX_UNREAD) this.#stream.resume();
  }

  #cutHeld(): void {
    for (const chunk of this.#uncut.take()) this.#cutOrHold(chunk);
  }

  #unreadable(error: unknown): BuildError {
    return new BuildError(this.#badMessage, `grpc: failed to unmarshal the received message: ${String(error)}`);
  }

  #decode(bytes: Uint8Array): T {
    try {
      return this.#type.decode(bytes);
    } catch (error) {
      const bad = this.#unreadable(error);
      this.fail(bad);
      throw bad;
    }
  }

  async read(): Promise<T | undefined> {
    if (!(await this.#available())) return undefined;
    return this.#decode(this.#next());
  }

  #next(): Uint8Array {
    const bytes = this.#queue[this.#at++];
    if (this.#at === this.#queue.length) {
      this.#queue = [];
      this.#at = 0;
    } else if (this.#at > 1024) {
      this.#queue.splice(0, this.#at);
      this.#at = 0;
    }
    this.#taken(bytes.length, 1);
    return bytes;
  }

  async readBatch(): Promise<T[] | undefined> {
    if (!(await this.#available())) return undefined;
    const batch = this.#at === 0 ? this.#queue : this.#queue.slice(this.#at);
    this.#queue = [];
    this.#at = 0;
    this.#taken(this.#unread - batch.length * OVERHEAD, batch.length);
    return batch.map((bytes) => this.#decode(bytes));
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const message = await this.read();
      if (message === undefined) return;
      yield message;
    }
  }
}
