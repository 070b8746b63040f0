/** A graph of keys together with a store of results. Every key that is saved is reachable from the keys of its inputs. */
import { isNotFound, logger, randomId, throwIfAborted } from '../../base/index.ts';
import type {
  CacheKey,
  CacheKeySelector,
  CacheManager,
  CacheRecord,
  KeyLink,
  KeyWay,
  KeyStore,
  Result,
  ResultStore,
} from '../types.ts';
import { isRandom, makeKey, rootKeyId } from './key.ts';

const PRUNE_BATCH = 50;

class StoredCache implements CacheManager {
  readonly id: string;
  readonly #keys: KeyStore;
  readonly #results: ResultStore;
  readonly #recordDigest: (link: KeyLink) => string;
  /** Ids of keys that other managers, or nobody, gave. */
  readonly #ids = new WeakMap<CacheKey, string>();
  /** Keys that the store could not tell, and the generation of links for which that holds. */
  readonly #unknown = new WeakMap<CacheKey, number>();
  #generation = 0;

  constructor(id: string, keys: KeyStore, results: ResultStore, recordDigest: (link: KeyLink) => string) {
    this.id = id;
    this.#keys = keys;
    this.#results = results;
    this.#recordDigest = recordDigest;
  }

  waysTo(id: string): KeyWay[] {
    return this.#keys.backlinks(id).map(({ key, link }) => {
      const { input, selector } = link;
      return { from: key, input, selector, digest: this.#recordDigest(link) };
    });
  }

  async query(inputs: readonly CacheKeySelector[], input: number, digest: string, output: number): Promise<CacheKey[]> {
    if (inputs.length === 0) {
      const id = rootKeyId(digest, output);
      return this.#keys.exists(id) ? [this.#key(id, digest, output)] : [];
    }
    const found = new Set<string>();
    for (const { key, selector = '' } of inputs) {
      const id = this.#findId(key);
      if (id === undefined) continue;
      for (const target of this.#keys.links(id, { input, output, digest, selector })) found.add(target);
    }
    return [...found].map((id) => this.#key(id, digest, output));
  }

  #key(id: string, digest: string, output: number): CacheKey {
    return makeKey({ id, digest, output, stored: new Map([[this, id]]) });
  }

  /** Where the key stands in this store, as far as its inputs lead there. Inputs are looked up first and remembered. */
  #findId(start: CacheKey): string | undefined {
    const isOpen = (key: CacheKey): boolean =>
      this.#idOf(key) === undefined && this.#unknown.get(key) !== this.#generation;
    const stack = [start];
    for (let key = stack.at(-1); key !== undefined; key = stack.at(-1)) {
      if (!isOpen(key)) {
        stack.pop();
        continue;
      }
      const open = key.deps.flat().filter((d) => isOpen(d.key));
      if (open.length > 0) {
        for (const d of open) stack.push(d.key);
        continue;
      }
      const id = this.#meet(key);
      if (id !== undefined) this.#ids.set(key, id);
      else this.#unknown.set(key, this.#generation);
      stack.pop();
    }
    return this.#idOf(start);
  }

  #idOf(key: CacheKey): string | undefined {
    const id = key.stored.get(this) ?? this.#ids.get(key);
    if (id !== undefined) return id;
    return key.deps.length === 0 ? rootKeyId(key.digest, key.output) : undefined;
  }

  /** The key that all inputs lead to. */
  #meet(key: CacheKey): string | undefined {
    let common: Set<string> | undefined;
    for (const [input, alternatives] of key.deps.entries()) {
      const here = new Set<string>();
      for (const dep of alternatives) {
        const id = this.#idOf(dep.key);
        if (id === undefined) continue;
        for (const target of this.#keys.links(id, linkTo(key, input, dep))) here.add(target);
      }
      common = common === undefined ? here : common.intersection(here);
      if (common.size === 0) return undefined;
    }
    return common?.values().next().value;
  }

  async records(key: CacheKey): Promise<CacheRecord[]> {
    const id = this.#findId(key);
    if (id === undefined) return [];
    const records: CacheRecord[] = [];
    for (const { id: resultId, createdAt } of this.#keys.results(id)) {
      if (await this.#results.exists(resultId)) {
        records.push({ id: resultId, createdAt, priority: 0, manager: this, key });
      } else {
        this.#keys.release(resultId);
      }
    }
    return records;
  }

  async load(record: CacheRecord): Promise<Result> {
    try {
      return await this.#results.load(record.id);
    } catch (error) {
      if (isNotFound(error)) this.#keys.release(record.id);
      throw error;
    }
  }

  async save(key: CacheKey, result: Result, createdAt: bigint): Promise<CacheKey> {
    if (isRandom(key)) return key;
    const stored = await this.#results.save(result, createdAt);
    const id = this.#keys.transaction(() => {
      const found = this.#persist(key);
      this.#keys.addResult(found, stored);
      return found;
    });
    return makeKey({ ...key, id, stored: new Map([...key.stored, [this, id]]) });
  }

  async link(key: CacheKey): Promise<void> {
    if (isRandom(key)) return;
    this.#keys.transaction(() => this.#persist(key));
  }

  /** Writes the links to the key and to all keys below it that the store does not have. */
  #persist(start: CacheKey): string {
    const stack = [start];
    const entered = new Set<CacheKey>();
    for (let key = stack.at(-1); key !== undefined; key = stack.at(-1)) {
      if (!entered.has(key)) {
        entered.add(key);
        const open = key.deps.flat().filter((d) => !isRandom(d.key) && !entered.has(d.key) && !this.#isLinked(d.key));
        if (open.length > 0) {
          for (const d of open) stack.push(d.key);
          continue;
        }
      }
      stack.pop();
      if (key.deps.length === 0) continue;
      let id = this.#findId(key);
      if (id === undefined) this.#ids.set(key, (id = randomId()));
      for (const [input, alternatives] of key.deps.entries()) {
        for (const dep of alternatives) {
          const from = isRandom(dep.key) ? undefined : this.#idOf(dep.key);
          if (from === undefined) continue;
          const link = linkTo(key, input, dep);
          if (this.#keys.links(from, link).includes(id)) continue;
          this.#keys.addLink(from, link, id);
          this.#generation++;
        }
      }
    }
    return this.#idOf(start) as string;
  }

  /** Roots need no links, and what this store gave out already has them. */
  #isLinked(key: CacheKey): boolean {
    return key.deps.length === 0 || (this.#idOf(key) !== undefined && this.#keys.exists(this.#idOf(key) as string));
  }

  async releaseUnreferenced(signal?: AbortSignal): Promise<void> {
    let after = '';
    for (;;) {
      throwIfAborted(signal);
      const ids = this.#keys.resultIds(after, PRUNE_BATCH);
      if (ids.length === 0) return;
      for (const id of ids) {
        if (!(await this.#results.exists(id))) this.#keys.release(id);
      }
      after = ids.at(-1) as string;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

function linkTo(key: CacheKey, input: number, dep: CacheKeySelector): KeyLink {
  return { input, output: key.output, digest: key.digest, selector: dep.selector ?? '' };
}

/**
 * `id` names the cache in logs and decides which caches are the same one. `recordDigest` is how an export calls what a link
 * leads to.
 */
export function createCacheManager(
  id: string,
  keys: KeyStore,
  results: ResultStore,
  recordDigest = (link: KeyLink): string => rootKeyId(link.digest, link.output),
): CacheManager {
  return new StoredCache(id, keys, results, recordDigest);
}

/** Cache lookups must not fail builds: what goes wrong is a miss, and told once in the log. */
export async function orMiss<T>(what: string, work: () => Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await work();
  } catch (error) {
    logger.warn(`cache ${what} failed`, { error });
    return [];
  }
}
