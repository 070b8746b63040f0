/** Namespaces that wait for containers: making one takes longer than many a step. */
import { abortable, abortReason, canceled, logger } from '../../base/index.ts';
import type { Namespace } from './namespace-folder.ts';

export interface PoolOptions {
  /** So many are ready at any time; more only while they were used lately. */
  readonly size: number;
  readonly make: () => Promise<Namespace>;
  readonly remove: (id: string) => Promise<void>;
  /** How long one beyond `size` waits for its next container. */
  readonly graceMs?: number;
}

const GRACE_MS = 5 * 60_000;

export class NamespacePool {
  readonly #options: PoolOptions;
  /** The one that was used last stands last. */
  readonly #ready: { readonly namespace: Namespace; readonly since: number }[] = [];
  readonly #work = new Set<Promise<void>>();
  #total = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get #graceMs(): number {
    return this.#options.graceMs ?? GRACE_MS;
  }

  /** Work that nobody waits for but close(). */
  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => logger.warn('network namespace', { error }))
      .finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }

  async #make(): Promise<Namespace> {
    this.#total++;
    try {
      return await this.#options.make();
    } catch (error) {
      this.#total--;
      throw error;
    }
  }

  async get(signal?: AbortSignal): Promise<Namespace> {
    if (signal?.aborted) throw abortReason(signal);
    if (this.#closed) throw canceled('the pool of network namespaces is closed');
    const ready = this.#ready.pop();
    if (ready !== undefined) {
      this.fill();
      return ready.namespace;
    }
    const making = this.#make();
    let isTaken = false;
    // Plugins are not interrupted: what they made for one that has gone is for the next.
    const leave = async (): Promise<void> => {
      const namespace = await making.catch(() => undefined);
      if (namespace !== undefined && !isTaken) await this.put(namespace);
    };
    try {
      const namespace = await abortable(making, signal);
      isTaken = true;
      return namespace;
    } finally {
      if (!isTaken) this.#track(leave());
    }
  }

  /** Gives it back for the next. */
  async put(namespace: Namespace): Promise<void> {
    if (this.#closed) {
      await this.discard(namespace);
      return;
    }
    this.#ready.push({ namespace, since: performance.now() });
    this.#shrinkLater();
  }

  async discard(namespace: Namespace): Promise<void> {
    this.#total--;
    await this.#options.remove(namespace.id);
    this.fill();
  }

  /** Makes in the background what is missing. */
  fill(): void {
    if (this.#closed) return;
    const missing = this.#options.size - this.#total;
    for (let i = 0; i < missing; i++) this.#track(this.#make().then((namespace) => this.put(namespace)));
  }

  #shrinkLater(): void {
    if (this.#total <= this.#options.size || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#shrink();
    }, this.#graceMs);
    this.#timer.unref();
  }

  #shrink(): void {
    const old = performance.now() - this.#graceMs;
    while (this.#total > this.#options.size && (this.#ready[0]?.since ?? Infinity) <= old) {
      const [first] = this.#ready.splice(0, 1);
      if (first !== undefined) this.#track(this.discard(first.namespace));
    }
    if (this.#ready.length > 0) this.#shrinkLater();
  }

  /** Removes all that wait, and resolves when no background work is left; what is held still is removed when given back. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { namespace } of this.#ready.splice(0)) this.#track(this.discard(namespace));
    while (this.#work.size > 0) await Promise.all(this.#work);
  }
}
