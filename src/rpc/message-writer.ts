import type { Http2Stream } from 'node:http2';
import { encodeFrame, joinSmall } from './framing.ts';
import { MAX_UNSENT } from './limits.ts';
import type { MessageType, MessageWriter } from './types.ts';

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

/**
 * The sending half of a stream. Messages of one tick leave in one write; a write waits while more than MAX_UNSENT is
 * under way, which HTTP/2's window makes to mean "the peer does not read".
 */
export class StreamWriter<T> implements MessageWriter<T> {
  readonly #stream: Http2Stream;
  readonly #type: MessageType<T>;
  #pending: Uint8Array[] = [];
  #unsent = 0;
  #scheduled = false;
  #failure: Error | undefined;
  #waiters: Waiter[] = [];
  /** Runs before the first bytes leave (response headers). */
  onFirstWrite: (() => void) | undefined;

  constructor(stream: Http2Stream, type: MessageType<T>) {
    this.#stream = stream;
    this.#type = type;
  }

  write(message: T): Promise<void> {
    return this.writeBatch([message]);
  }

  async writeBatch(messages: readonly T[]): Promise<void> {
    for (const message of messages) {
      if (this.#failure !== undefined) throw this.#failure;
      for (const piece of encodeFrame(this.#type, message)) {
        this.#pending.push(piece);
        this.#unsent += piece.length;
      }
      this.#schedule();
      if (this.#unsent > MAX_UNSENT) await this.#room();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #room(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After the microtasks of this tick: whatever they write shares the frame.
    process.nextTick(() => this.flush());
  }

  flush(): void {
    this.#scheduled = false;
    const pieces = this.#pending;
    if (pieces.length === 0) return;
    this.#pending = [];
    if (this.#failure !== undefined || this.#stream.destroyed || this.#stream.writableEnded) return;
    this.onFirstWrite?.();
    this.onFirstWrite = undefined;
    const stream = this.#stream;
    if (stream.destroyed) return;
    stream.cork();
    for (const piece of joinSmall(pieces)) {
      stream.write(piece, (error) => {
        if (error === undefined || error === null) this.#sent(piece.length);
      });
    }
    stream.uncork();
  }

  #sent(bytes: number): void {
    this.#unsent -= bytes;
    if (this.#unsent > MAX_UNSENT / 2) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const w of waiters) w.resolve();
  }

  /** Every write, waiting or to come, ends with `error`. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#pending = [];
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const w of waiters) w.reject(this.#failure);
  }
}
