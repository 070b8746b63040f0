import { logger, ThreadPool, workerEntry } from '../base/index.ts';

/**
 * Moves the write-ahead log into the database file from a thread with its own connection, because that waits for the
 * disk. Every so many commits, and a while after the last one, so that an idle daemon has an empty log.
 */
export class Checkpoints {
  readonly #path: string;
  readonly #every: number;
  readonly #threads = new ThreadPool(workerEntry(import.meta.url, 'checkpoint.worker'), { max: 1, idleMs: 1000 });
  #commits = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(path: string, every: number) {
    this.#path = path;
    this.#every = every;
  }

  committed(): void {
    if (this.#closed) return;
    if (++this.#commits >= this.#every) this.#start();
    else if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.#start(), 10_000);
      this.#timer.unref();
    }
  }

  #start(): void {
    if (this.#running !== undefined) return;
    this.#commits = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running = this.#threads
      .call<void>('checkpoint', { path: this.#path })
      .catch((error: unknown) => {
        if (!this.#closed) logger.warn('database checkpoint failed', { error });
      })
      .finally(() => (this.#running = undefined));
  }

  async compact(): Promise<void> {
    await this.#running;
    if (!this.#closed) await this.#threads.call<void>('compact', { path: this.#path });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
    await this.#threads.close();
  }
}
