import type { Http2Stream } from 'node:http2';
import { BuildError } from '../base/index.ts';
import type { Code } from '../base/index.ts';
import { FrameDecoder } from './framing.ts';
import { MAX_UNREAD } from './limits.ts';
import type { MessageReader, MessageType } from './types.ts';

/**
 * The receiving half of a stream. It takes bytes until whole messages of MAX_UNREAD wait, then pauses the stream, and
 * HTTP/2's window stops the peer. Messages that came before an error are still handed out; a local cancel drops them.
 */
export class StreamReader<T> implements MessageReader<T> {
  readonly #stream: Http2Stream;
  readonly #type: MessageType<T>;
  readonly #badMessage: Code;
  readonly #frames = new FrameDecoder();
  #queue: Uint8Array[] = [];
  #at = 0;
  #unread = 0;
  #ended = false;
  #failure: Error | undefined;
  #wake: Array<() => void> = [];
  #discarding = false;
  /** Called when the bytes themselves are at fault: the call must end. */
  onFault: ((error: Error) => void) | undefined;

  constructor(stream: Http2Stream, type: MessageType<T>, badMessage: Code) {
    this.#stream = stream;
    this.#type = type;
    this.#badMessage = badMessage;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  #receive(chunk: Buffer): void {
    if (this.#discarding || this.#ended) return;
    const before = this.#queue.length;
    try {
      this.#frames.push(chunk, this.#queue);
    } catch (error) {
      this.finish(error as Error);
      this.discard();
      this.onFault?.(error as Error);
      return;
    }
    if (this.#queue.length === before) return;
    for (let i = before; i < this.#queue.length; i++) this.#unread += this.#queue[i].length + 32;
    if (this.#unread > MAX_UNREAD) this.#stream.pause();
    this.#wakeAll();
  }

  get isMidMessage(): boolean {
    return !this.#frames.isEmpty;
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
    this.#ended = true;
    this.#failure = error;
    this.#wakeAll();
    this.discard();
  }

  /** Lets the rest flow to nowhere, so that the stream can close. */
  discard(): void {
    this.#discarding = true;
    if (!this.#stream.destroyed) this.#stream.resume();
  }

  #wakeAll(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const w of wake) w();
  }

  /** False at the clean end. */
  async #available(): Promise<boolean> {
    while (this.#at >= this.#queue.length) {
      if (this.#ended) {
        if (this.#failure !== undefined) throw this.#failure;
        return false;
      }
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    return true;
  }

  #taken(bytes: number): void {
    this.#unread -= bytes;
    if (this.#unread <= MAX_UNREAD / 2 && this.#stream.isPaused() && !this.#stream.destroyed) this.#stream.resume();
  }

  #decode(bytes: Uint8Array): T {
    try {
      return this.#type.decode(bytes);
    } catch (error) {
      const bad = new BuildError(this.#badMessage, `grpc: failed to unmarshal the received message: ${String(error)}`);
      this.fail(bad);
      throw bad;
    }
  }

  async read(): Promise<T | undefined> {
    if (!(await this.#available())) return undefined;
    const bytes = this.#queue[this.#at++];
    if (this.#at === this.#queue.length) {
      this.#queue = [];
      this.#at = 0;
    } else if (this.#at > 1024) {
      this.#queue.splice(0, this.#at);
      this.#at = 0;
    }
    this.#taken(bytes.length + 32);
    return this.#decode(bytes);
  }

  async readBatch(): Promise<T[] | undefined> {
    if (!(await this.#available())) return undefined;
    const batch = this.#at === 0 ? this.#queue : this.#queue.slice(this.#at);
    this.#queue = [];
    this.#at = 0;
    this.#taken(this.#unread);
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
