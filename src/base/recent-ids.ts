export interface RecentIdsOptions {
  readonly lifetimeMs: number;
  readonly limit?: number;
}

/** Clients' ids are some 25 characters long: what is much longer is not worth remembering. */
const MAX_LENGTH = 256;

/** Ids that clients chose, remembered for a while: of many the latest. */
export class RecentIds {
  readonly #lifetimeMs: number;
  readonly #limit: number;
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor({ lifetimeMs, limit = 1000 }: RecentIdsOptions) {
    this.#lifetimeMs = lifetimeMs;
    this.#limit = limit;
  }

  add(id: string): void {
    if (id.length > MAX_LENGTH) return;
    this.take(id);
    const [oldest] = this.#timers.keys();
    if (this.#timers.size >= this.#limit) this.take(oldest);
    const timer = setTimeout(() => this.#timers.delete(id), this.#lifetimeMs);
    timer.unref();
    this.#timers.set(id, timer);
  }

  /** Whether it was there; it is no longer. */
  take(id: string): boolean {
    clearTimeout(this.#timers.get(id));
    return this.#timers.delete(id);
  }

  clear(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
