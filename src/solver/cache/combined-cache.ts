/** The daemon's own cache with imported ones beside it. Read from all; written to the main one only. */
import { logger } from '../../base/index.ts';
import type { CacheKey, CacheKeySelector, CacheManager, CacheRecord, Result } from '../types.ts';
import { orMiss } from './cache-manager.ts';
import { makeKey } from './key.ts';

class CombinedCache implements CacheManager {
  readonly id: string;
  readonly #main: CacheManager;
  readonly #all: readonly CacheManager[];

  constructor(main: CacheManager, others: readonly CacheManager[]) {
    this.#main = main;
    this.#all = [main, ...others];
    this.id = this.#all.map((m) => m.id).join(',');
  }

  async query(inputs: readonly CacheKeySelector[], input: number, digest: string, output: number): Promise<CacheKey[]> {
    const answers = await Promise.all(
      this.#all.map((m) => orMiss('query', () => m.query(inputs, input, digest, output))),
    );
    const byId = new Map<string, CacheKey>();
    for (const key of answers.flat()) {
      const known = byId.get(key.id);
      if (known === undefined) byId.set(key.id, key);
      else byId.set(key.id, makeKey({ ...known, stored: new Map([...known.stored, ...key.stored]) }));
    }
    return [...byId.values()];
  }

  async records(key: CacheKey): Promise<CacheRecord[]> {
    const answers = await Promise.all(this.#all.map((m) => orMiss('records', () => m.records(key))));
    // A record of the main cache is there; one of the others may have to be downloaded.
    return answers.flatMap((records, i) =>
      i === 0 ? records : records.map((r) => ({ ...r, priority: r.priority + 1 })),
    );
  }

  async load(record: CacheRecord): Promise<Result> {
    const result = await record.manager.load(record);
    if (record.manager === this.#main) return result;
    try {
      await this.#main.save(record.key, result, record.createdAt);
    } catch (error) {
      logger.warn('imported result could not be kept', { error });
    }
    return result;
  }

  save(key: CacheKey, result: Result, createdAt: bigint): Promise<CacheKey> {
    return this.#main.save(key, result, createdAt);
  }

  link(key: CacheKey): Promise<void> {
    return this.#main.link(key);
  }

  releaseUnreferenced(signal?: AbortSignal): Promise<void> {
    return this.#main.releaseUnreferenced(signal);
  }
}

export function combineCaches(main: CacheManager, others: readonly CacheManager[]): CacheManager {
  return others.length === 0 ? main : new CombinedCache(main, others);
}
