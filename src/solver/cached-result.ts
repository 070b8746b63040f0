import type { CacheKey, CachedResult, CacheRecord, Edge, Result } from './types.ts';

/** A result that carries the keys it was found or saved by. Owns `result`. */
export class KeyedResult implements CachedResult {
  readonly edge: Edge;
  readonly cacheKeys: readonly CacheKey[];
  readonly record: CacheRecord | undefined;
  readonly #result: Result;
  #released = false;

  constructor(result: Result, edge: Edge, cacheKeys: readonly CacheKey[], record?: CacheRecord) {
    this.#result = result;
    this.edge = edge;
    this.cacheKeys = cacheKeys;
    this.record = record;
  }

  get id(): string {
    return this.#result.id;
  }

  get sys(): unknown {
    return this.#result.sys;
  }

  fork(edge: Edge = this.edge): KeyedResult {
    if (this.#released) throw new Error(`result ${this.id} used after its release`);
    return new KeyedResult(this.#result.fork(), edge, this.cacheKeys, this.record);
  }

  async release(): Promise<void> {
    if (this.#released) throw new Error(`result ${this.id} released twice`);
    this.#released = true;
    await this.#result.release();
  }
}
