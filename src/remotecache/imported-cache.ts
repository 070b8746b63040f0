/** A graph of records as a cache to look into. It is never written to. */
import { BuildError, Code, logger, notFound } from '../base/index.ts';
import { createCacheManager, rootKeyId } from '../solver/index.ts';
import type { CacheKey, CacheManager, KeyStore, Result, ResultStore } from '../solver/index.ts';
import type { CacheAccessor, ImmutableRef, LazyBlobProvider } from '../storage/types.ts';
import { DESCRIPTION } from './import.ts';
import { childKey, itemIds, layersId } from './record-graph.ts';
import type { CacheItem, LayerResult, RecordGraph } from './record-graph.ts';

export interface ResultMaker {
  readonly accessor: CacheAccessor;
  /** Takes over the ref. */
  readonly makeResult: (ref: ImmutableRef) => Result;
}

function immutable(): never {
  throw new BuildError(Code.Unimplemented, 'importer is immutable');
}

/** Layers are downloaded when somebody looks into them. */
async function loadLayers(maker: ResultMaker, result: LayerResult, provider: LazyBlobProvider): Promise<Result> {
  let current: ImmutableRef | undefined;
  for (const layer of result.layers) {
    const parent: ImmutableRef | undefined = current;
    try {
      const { [DESCRIPTION]: description = `imported ${layer.digest}`, ...annotations } = layer.annotations ?? {};
      current = await maker.accessor.fromBlob({ ...layer, annotations }, parent, { provider, description });
    } finally {
      await parent?.release();
    }
  }
  if (current === undefined) throw notFound('imported result has no layers');
  return maker.makeResult(current);
}

export function createImportedCache(
  id: string,
  graph: RecordGraph,
  provider: LazyBlobProvider,
  maker: ResultMaker,
): CacheManager {
  const ids = itemIds(graph.items);
  const items = new Map<string, CacheItem[]>();
  const results = new Map<string, LayerResult>();
  for (const item of graph.items) {
    const itemId = ids.get(item) as string;
    items.set(itemId, [...(items.get(itemId) ?? []), item]);
    for (const r of item.results) results.set(layersId(r), r);
  }
  const at = (key: string): readonly CacheItem[] => items.get(key) ?? [];
  const keys: KeyStore = {
    exists: (key) => at(key).some((i) => i.results.length > 0 || i.children.size > 0),
    // Configs name a step by its digest and output in one.
    links: (key, { digest, output, input, selector }) =>
      at(key).flatMap((item) => {
        const children = item.children.get(childKey(rootKeyId(digest, output), input, selector)) ?? [];
        return [...children].map((child) => ids.get(child) as string);
      }),
    addLink: immutable,
    backlinks: (key) =>
      at(key).flatMap((item) =>
        item.inputs.flatMap((links, input) =>
          links.map(({ source, selector }) => ({
            key: ids.get(source) as string,
            link: { input, output: 0, digest: item.digest, selector },
          })),
        ),
      ),
    results: (key) => at(key).flatMap((i) => i.results.map((r) => ({ id: layersId(r), createdAt: r.createdAt }))),
    addResult: immutable,
    resultIds: () => [],
    release: () => {},
    transaction: (work) => work(),
  };
  const store: ResultStore = {
    save: immutable,
    load: async (resultId) => {
      const found = results.get(resultId);
      if (found === undefined) throw notFound(`imported result ${resultId} not found`);
      return loadLayers(maker, found, provider);
    },
    exists: async (resultId) => results.has(resultId),
  };
  return createCacheManager(id, keys, store, ({ digest }) => digest);
}

/** A cache that is fetched when it is first looked into. One that cannot be had is empty: a build does without. */
export function createLazyCache(id: string, open: () => Promise<CacheManager>): CacheManager {
  let opened: Promise<CacheManager | undefined> | undefined;
  const cache = (): Promise<CacheManager | undefined> =>
    (opened ??= open().catch((error: unknown) => {
      logger.warn('cache could not be imported', { cache: id, error });
      return undefined;
    }));
  return {
    id,
    query: async (...args) => (await (await cache())?.query(...args)) ?? [],
    records: async (key: CacheKey) => (await (await cache())?.records(key)) ?? [],
    load: async (record) => {
      const main = await cache();
      if (main === undefined) throw notFound(`cache ${id} could not be imported`);
      return main.load(record);
    },
    save: async () => immutable(),
    link: async () => immutable(),
    releaseUnreferenced: async () => {},
  };
}
