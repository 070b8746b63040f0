import { encodeFrame } from './framing.ts';
import type { Http2Stream } from './http2/index.ts';
import { MAX_UNSENT } from './limits.ts';
import type { MessageType, MessageWriter } from './types.ts';

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

/**
 * The sending half of a stream. Messages of one turn leave in one write; a write waits while more than MAX_UNSENT is
 * under way, which HTTP/2's window makes to mean "the peer does not read".
 */
export class StreamWriter<T> implements MessageWriter<T> {
  readonly #stream: Http2Stream;
  readonly #type: MessageType<T>;
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
      const pieces = encodeFrame(this.#type, message);
      this.onFirstWrite?.();
      this.onFirstWrite = undefined;
      this.#stream.write(pieces);
      if (this.#stream.unsent > MAX_UNSENT) await this.#room();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #room(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Some of it has left. */
  sent(): void {
    if (this.#waiters.length === 0 || this.#stream.unsent > MAX_UNSENT / 2) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const w of waiters) w.resolve();
  }

  /** Every write, waiting or to come, ends with `error`. */
  fail(error: Error): void {
    this.#failure ??= error;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const w of waiters) w.reject(this.#failure);
  }
}
