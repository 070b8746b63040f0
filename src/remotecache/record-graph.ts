/** What a cache config says, as a graph: records, what leads to them, and the layers that they are worth. */
import type { ContentProvider } from '../content/types.ts';
import { digestOf } from '../oci/index.ts';
import type { Descriptor } from '../oci/types.ts';

/** A result as layers from base to top. */
export interface LayerResult {
  readonly createdAt: bigint;
  readonly layers: readonly Descriptor[];
  readonly provider: ContentProvider;
}

export interface RecordLink {
  readonly source: CacheItem;
  /** Empty: the whole input. */
  readonly selector: string;
}

/** One record. Changed by {@link RecordGraph} only. */
export class CacheItem {
  readonly digest: string;
  /** For each input the records that stand for it. */
  readonly inputs: RecordLink[][] = [];
  readonly children = new Map<string, Set<CacheItem>>();
  readonly results: LayerResult[] = [];

  constructor(digest: string) {
    this.digest = digest;
  }

  /** The newest. */
  get best(): LayerResult | undefined {
    let best: LayerResult | undefined;
    for (const r of this.results) if (best === undefined || r.createdAt > best.createdAt) best = r;
    return best;
  }
}

/** Names a step from a record to those that have it as an input. */
export function childKey(digest: string, input: number, selector: string): string {
  return JSON.stringify([digest, input, selector]);
}

function addResults(item: CacheItem, results: readonly LayerResult[]): void {
  const textOf = (r: LayerResult): string => `${r.createdAt} ${layersId(r)}`;
  const known = new Set(item.results.map(textOf));
  for (const r of results) {
    if (known.has(textOf(r))) continue;
    known.add(textOf(r));
    item.results.push(r);
  }
}

/** Equal for equal layers. */
export function layersId({ layers }: LayerResult): string {
  return digestOf(layers.map((l) => l.digest).join());
}

function hasLink(item: CacheItem, input: number, { source, selector }: RecordLink): boolean {
  return source.children.get(childKey(item.digest, input, selector))?.has(item) ?? false;
}

function withDescendants(item: CacheItem): Set<CacheItem> {
  const seen = new Set([item]);
  for (const one of seen) for (const children of one.children.values()) for (const child of children) seen.add(child);
  return seen;
}

export class RecordGraph {
  readonly #roots = new Map<string, CacheItem>();
  readonly #items: CacheItem[] = [];

  get items(): readonly CacheItem[] {
    return this.#items;
  }

  /** The record that all inputs lead to, made where there is none. undefined: it is never exported, or an input is missing. */
  add(
    digest: string,
    inputs: readonly (readonly RecordLink[])[],
    results: readonly LayerResult[],
  ): CacheItem | undefined {
    if (digest.startsWith('random:') || inputs.some((links) => links.length === 0)) return undefined;
    const known = inputs.length === 0 ? this.#roots.get(digest) : this.#meet(digest, inputs);
    const item = known ?? new CacheItem(digest);
    if (known === undefined) {
      this.#items.push(item);
      if (inputs.length === 0) this.#roots.set(digest, item);
    }
    addResults(item, results);
    const fresh = inputs.flatMap((links, input) =>
      links.filter((link) => !hasLink(item, input, link)).map((link) => ({ input, link })),
    );
    if (fresh.length === 0) return item;
    // What hangs below the record cannot be its input too.
    const below = item.children.size === 0 ? new Set([item]) : withDescendants(item);
    for (const { input, link } of fresh) if (!below.has(link.source)) this.#link(item, input, link);
    return item;
  }

  /** The same records with other results. */
  withResults(resultsOf: (item: CacheItem) => readonly LayerResult[]): RecordGraph {
    const other = new RecordGraph();
    const copies = new Map<CacheItem, CacheItem>();
    const copy = (item: CacheItem): void => {
      const inputs = item.inputs.map((links) =>
        links.flatMap(({ source, selector }) => {
          const copied = copies.get(source);
          return copied === undefined ? [] : [{ source: copied, selector }];
        }),
      );
      const added = other.add(item.digest, inputs, resultsOf(item));
      if (added !== undefined) copies.set(item, added);
    };
    for (const start of this.#items) {
      const stack = [start];
      for (let item = stack.at(-1); item !== undefined; item = stack.at(-1)) {
        const open = copies.has(item) ? [] : item.inputs.flat().filter((l) => !copies.has(l.source));
        if (open.length > 0) {
          for (const l of open) stack.push(l.source);
          continue;
        }
        stack.pop();
        if (!copies.has(item)) copy(item);
      }
    }
    return other;
  }

  #meet(digest: string, inputs: readonly (readonly RecordLink[])[]): CacheItem | undefined {
    let common: Set<CacheItem> | undefined;
    for (const [input, links] of inputs.entries()) {
      const here = new Set<CacheItem>();
      for (const { source, selector } of links) {
        for (const child of source.children.get(childKey(digest, input, selector)) ?? []) here.add(child);
      }
      common = common === undefined ? here : common.intersection(here);
      if (common.size === 0) return undefined;
    }
    return common?.values().next().value;
  }

  #link(item: CacheItem, input: number, link: RecordLink): void {
    if (hasLink(item, input, link)) return;
    while (item.inputs.length <= input) item.inputs.push([]);
    item.inputs[input].push(link);
    const key = childKey(item.digest, input, link.selector);
    let children = link.source.children.get(key);
    if (children === undefined) link.source.children.set(key, (children = new Set()));
    children.add(item);
  }
}

/** Ids that depend on nothing but the graph: equal in every daemon. A root's is its digest. */
export function itemIds(items: readonly CacheItem[]): Map<CacheItem, string> {
  const ids = new Map<CacheItem, string>();
  for (const start of items) {
    const stack = [start];
    for (let item = stack.at(-1); item !== undefined; item = stack.at(-1)) {
      if (ids.has(item)) {
        stack.pop();
        continue;
      }
      const open = item.inputs.flat().filter((l) => !ids.has(l.source));
      if (open.length > 0) {
        for (const l of open) stack.push(l.source);
        continue;
      }
      stack.pop();
      const inputs = item.inputs.map((links) => links.map((l) => [ids.get(l.source), l.selector].join(' ')).toSorted());
      ids.set(item, inputs.length === 0 ? item.digest : digestOf(JSON.stringify([item.digest, inputs])));
    }
  }
  return ids;
}
