import { logger } from '../base/index.ts';
import type { PruneOptions, Storage } from '../storage/index.ts';
import type { DiskReserve } from './disk-reserve.ts';

const DELAY_MS = 1000;
const EVERY_MS = 60_000;

/** Garbage collection in the background: a second after a build has ended, at most once a minute (upstream: control/control.go). */
export class Collector {
  readonly #storage: Storage;
  readonly #policies: readonly PruneOptions[];
  readonly #reserve: DiskReserve;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #last = -Infinity;
  #closed = false;

  constructor(storage: Storage, policies: readonly PruneOptions[], reserve: DiskReserve) {
    this.#storage = storage;
    this.#policies = policies;
    this.#reserve = reserve;
  }

  request(): void {
    if (this.#closed || this.#timer !== undefined) return;
    const wait = Math.max(DELAY_MS, this.#last + EVERY_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#last = performance.now();
      this.#running = this.#reserve
        .during(() => this.#storage.gc(this.#policies))
        .catch((error: unknown) => logger.error('garbage collection failed', { error }))
        .finally(() => (this.#running = undefined));
    }, wait);
    this.#timer.unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }
}
