/** From the keys of results to a {@link RecordGraph}: which records there are and which of them get layers. */
import { isNotFound, logger, mapConcurrent, throwIfAborted } from '../base/index.ts';
import type { Compression } from '../oci/types.ts';
import { isRandom, keysBelow, rootKeyId } from '../solver/index.ts';
import type { CacheKey, CacheManager, CacheRecord, KeyWay } from '../solver/index.ts';
import type { ImmutableRef, StorageContext } from '../storage/types.ts';
import type { CacheItem, LayerResult, RecordGraph, RecordLink } from './record-graph.ts';

export interface CollectOptions {
  /** `max` makes blobs for every step; `min` only from the result down to the first that has one, deeper it takes what is there. */
  readonly mode: 'min' | 'max';
  readonly compression: Compression;
  readonly context: StorageContext;
}

/** Loads of results at a time; layers are made by worker threads. */
const LOADS = 4;

async function recordsOf(key: CacheKey): Promise<CacheRecord[]> {
  const found = await Promise.all([...key.stored.keys()].map((manager) => manager.records(key)));
  return found
    .flat()
    .toSorted((a, b) => (a.createdAt === b.createdAt ? a.priority - b.priority : a.createdAt > b.createdAt ? -1 : 1));
}

async function layersOf(key: CacheKey, create: boolean, options: CollectOptions): Promise<LayerResult | undefined> {
  // The record of a root would only repeat what its source says.
  if (key.deps.length === 0 || key.exportCache === false) return undefined;
  for (const record of await recordsOf(key)) {
    throwIfAborted(options.context.signal);
    try {
      const result = await record.manager.load(record);
      try {
        const ref = result.sys as ImmutableRef | undefined;
        const remote = await ref?.remote(options.compression, { create }, options.context);
        if (remote === undefined || remote.descriptors.length === 0) return undefined;
        return { createdAt: record.createdAt, layers: remote.descriptors, provider: remote.provider };
      } finally {
        await result.release();
      }
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  return undefined;
}

/** A step below the result that cannot be exported is left out; the result itself must be. */
async function layersBelow(
  key: CacheKey,
  isTop: boolean,
  create: boolean,
  options: CollectOptions,
): Promise<LayerResult | undefined> {
  try {
    return await layersOf(key, create, options);
  } catch (error) {
    if (isTop) throw error;
    throwIfAborted(options.context.signal);
    logger.warn('a step could not be exported to the cache', { key: key.id, error });
    return undefined;
  }
}

async function allLayers(
  tops: ReadonlySet<CacheKey>,
  order: readonly CacheKey[],
  options: CollectOptions,
): Promise<Map<CacheKey, LayerResult>> {
  const found = new Map<CacheKey, LayerResult>();
  const keep = async (key: CacheKey, create: boolean): Promise<boolean> => {
    const layers = await layersBelow(key, tops.has(key), create, options);
    if (layers !== undefined) found.set(key, layers);
    return layers !== undefined;
  };
  if (options.mode === 'max') {
    await mapConcurrent(order, LOADS, (key) => keep(key, true));
    return found;
  }
  // Consumers first: whoever was given a blob ends the making of blobs below it.
  const creating = new Set<CacheKey>(tops);
  for (const key of order.toReversed()) {
    const create = creating.has(key);
    const has = await keep(key, create);
    if (!create || has) continue;
    for (const alternatives of key.deps) for (const { key: below } of alternatives) creating.add(below);
  }
  return found;
}

/** Adds all that leads to these keys. */
export async function collectRecords(
  graph: RecordGraph,
  keys: readonly CacheKey[],
  options: CollectOptions,
): Promise<void> {
  const order = keysBelow(keys).filter((key) => !isRandom(key));
  const layers = await allLayers(new Set(keys), order, options);
  const items = new Map<CacheKey, CacheItem>();
  const ways = new StoredWays(graph);
  for (const key of order) {
    const inputs = key.deps.map((alternatives): RecordLink[] =>
      alternatives.flatMap(({ key: source, selector = '' }) => {
        const item = items.get(source);
        return item === undefined ? [] : [{ source: item, selector }];
      }),
    );
    const result = layers.get(key);
    const item = graph.add(rootKeyId(key.digest, key.output), inputs, result === undefined ? [] : [result]);
    if (item === undefined) continue;
    items.set(key, item);
    // A build that found a key by one of its inputs' keys knows of that one only: the stores know the others.
    for (const [manager, id] of key.stored) ways.add(manager, id);
  }
}

/** What stores know of ways to keys, as records without results. */
class StoredWays {
  readonly #graph: RecordGraph;
  readonly #known = new Map<CacheManager, Map<string, CacheItem | undefined>>();

  constructor(graph: RecordGraph) {
    this.#graph = graph;
  }

  add(manager: CacheManager, start: string): void {
    const known = this.#known.get(manager) ?? new Map<string, CacheItem | undefined>();
    this.#known.set(manager, known);
    const entered = new Set<string>();
    const stack = [start];
    for (let id = stack.at(-1); id !== undefined; id = stack.at(-1)) {
      const ways = known.has(id) ? [] : (manager.waysTo?.(id) ?? []);
      if (!known.has(id) && !entered.has(id)) {
        entered.add(id);
        const open = ways.filter(({ from }) => !known.has(from) && !entered.has(from));
        if (open.length > 0) {
          for (const { from } of open) stack.push(from);
          continue;
        }
      }
      stack.pop();
      if (!known.has(id)) known.set(id, this.#record(id, ways, known));
    }
  }

  #record(
    id: string,
    ways: readonly KeyWay[],
    known: ReadonlyMap<string, CacheItem | undefined>,
  ): CacheItem | undefined {
    // Nothing leads to a root: its id is its digest.
    if (ways.length === 0) return id.startsWith('sha256:') ? this.#graph.add(id, [], []) : undefined;
    const inputs: RecordLink[][] = Array.from({ length: Math.max(...ways.map((w) => w.input)) + 1 }, () => []);
    for (const { from, input, selector } of ways) {
      const source = known.get(from);
      if (source !== undefined) inputs[input].push({ source, selector });
    }
    return this.#graph.add(ways[0].digest, inputs, []);
  }
}
