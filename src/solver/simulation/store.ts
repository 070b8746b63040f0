/** A cache of a simulated world: its results can be lost, its answers take time, and some of its work fails. */
import { notFound } from '../../base/index.ts';
import { createCacheManager } from '../cache/cache-manager.ts';
import { createMemoryKeyStore } from '../cache/memory-key-store.ts';
import type { CacheManager, Result } from '../types.ts';

export interface StoreSurroundings {
  /** Takes its time, or fails. */
  pause(what: string): Promise<void>;
  result(content: string): Result;
}

export class Store {
  readonly manager: CacheManager;
  readonly #kept = new Map<string, string>();
  readonly #unreadable = new Set<string>();
  #next = 0;

  constructor(name: string, { pause, result }: StoreSurroundings) {
    this.manager = createCacheManager(name, createMemoryKeyStore(), {
      save: async (made, createdAt) => {
        await pause(`${name} save`);
        const id = `${name}-r${String(this.#next++).padStart(4, '0')}`;
        this.#kept.set(id, made.sys as string);
        return { id, createdAt };
      },
      load: async (id) => {
        await pause(`${name} load`);
        const content = this.#kept.get(id);
        if (content === undefined || this.#unreadable.has(id)) throw notFound(`no result ${id}`);
        return result(content);
      },
      exists: async (id) => {
        await pause(`${name} exists`);
        return this.#kept.has(id);
      },
    });
    // The graph of keys answers at once; that of a remote cache has to be fetched first.
    const { manager } = this;
    const query = manager.query.bind(manager);
    manager.query = async (...asked) => {
      await pause(`${name} query`);
      return query(...asked);
    };
  }

  /** Some results are gone when they are looked up, or only when they are loaded. */
  lose(isLost: () => boolean, isFoundOut: () => boolean): void {
    for (const id of this.#kept.keys()) {
      if (!isLost()) continue;
      if (isFoundOut()) this.#kept.delete(id);
      else this.#unreadable.add(id);
    }
  }
}
