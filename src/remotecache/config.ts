/** The cache config as it travels (upstream: cache/remotecache/v1/types). Equal graphs give equal bytes. */
import { formatTime } from '../base/index.ts';
import { goJsonBytes, toOciMediaType } from '../oci/index.ts';
import type { GoJsonValue } from '../oci/index.ts';
import type { Descriptor, Digest } from '../oci/types.ts';
import type { ContentProvider } from '../content/types.ts';
import { itemIds } from './record-graph.ts';
import type { CacheItem, LayerResult, RecordGraph } from './record-graph.ts';

export const CACHE_CONFIG_TYPE = 'application/vnd.buildkit.cacheconfig.v0';

export interface ConfigLayer {
  readonly blob: Digest;
  /** -1: none. */
  readonly parent: number;
}

export interface ConfigRecord {
  readonly digest: string;
  /** Each with the layers below it. */
  readonly results: readonly { readonly layer: number; readonly createdAt: bigint }[];
  /** Each layer by layer. */
  readonly chains: readonly { readonly layers: readonly number[]; readonly createdAt: bigint }[];
  readonly inputs: readonly (readonly { readonly selector: string; readonly link: number }[])[];
}

export interface CacheConfig {
  readonly layers: readonly ConfigLayer[];
  readonly records: readonly ConfigRecord[];
}

export interface ConfigBlob {
  readonly descriptor: Descriptor;
  readonly provider: ContentProvider;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** As upstream's sortConfig (cache/remotecache/v1/utils.go); what it leaves open, the ids decide. */
function compareItems(a: CacheItem, b: CacheItem, ids: ReadonlyMap<CacheItem, string>): number {
  let order = compareText(a.digest, b.digest) || a.inputs.length - b.inputs.length;
  for (let i = 0; order === 0 && i < a.inputs.length; i++) {
    const [left, right] = [a.inputs[i], b.inputs[i]];
    order = left.length - right.length;
    for (let j = 0; order === 0 && j < left.length; j++) {
      order =
        compareText(left[j].selector, right[j].selector) || compareText(left[j].source.digest, right[j].source.digest);
    }
  }
  return order || compareText(ids.get(a) as string, ids.get(b) as string);
}

interface LayerNode {
  readonly descriptor: Descriptor;
  readonly parent: LayerNode | undefined;
  readonly id: string;
}

/** Layers that have the same layers below them are the same one. */
class LayerTree {
  readonly #nodes = new Map<string, LayerNode>();
  readonly blobs = new Map<Digest, ConfigBlob>();

  add({ layers, provider }: LayerResult): LayerNode | undefined {
    let top: LayerNode | undefined;
    for (const layer of layers) {
      const id: string = `${layer.digest}${top?.id ?? ''}`;
      const descriptor = { ...layer, mediaType: toOciMediaType(layer.mediaType) };
      let node: LayerNode | undefined = this.#nodes.get(id);
      if (node === undefined) this.#nodes.set(id, (node = { descriptor, parent: top, id }));
      this.blobs.set(layer.digest, { descriptor, provider });
      top = node;
    }
    return top;
  }

  sorted(): LayerNode[] {
    return [...this.#nodes.values()].toSorted(
      (a, b) => compareText(a.descriptor.digest, b.descriptor.digest) || compareText(a.id, b.id),
    );
  }
}

/** The best result of each record, with the blobs that they are made of. */
export function configOf(graph: RecordGraph): { config: CacheConfig; blobs: ReadonlyMap<Digest, ConfigBlob> } {
  const ids = itemIds(graph.items);
  for (const item of graph.items) {
    for (const links of item.inputs) {
      links.sort(
        (a, b) =>
          compareText(a.selector, b.selector) || compareText(ids.get(a.source) as string, ids.get(b.source) as string),
      );
    }
  }
  const items = graph.items.toSorted((a, b) => compareItems(a, b, ids));
  const position = new Map(items.map((item, i) => [item, i]));
  const tree = new LayerTree();
  const tops = items.map((item) => (item.best === undefined ? undefined : tree.add(item.best)));
  const nodes = tree.sorted();
  const index = new Map(nodes.map((node, i) => [node, i]));
  const records = items.map((item, i): ConfigRecord => {
    const top = tops[i];
    return {
      digest: item.digest,
      results:
        top === undefined ? [] : [{ layer: index.get(top) as number, createdAt: (item.best as LayerResult).createdAt }],
      chains: [],
      inputs: item.inputs.map((links) =>
        links
          .map((l) => ({ selector: l.selector, link: position.get(l.source) as number }))
          .toSorted((a, b) => a.link - b.link),
      ),
    };
  });
  const layers = nodes.map(({ descriptor, parent }) => ({
    blob: descriptor.digest,
    parent: parent === undefined ? -1 : (index.get(parent) as number),
  }));
  return { config: { layers, records }, blobs: tree.blobs };
}

/** Go leaves empty lists, texts and zeros out where the field says omitempty. */
function orAbsent<T extends string | number | readonly unknown[]>(value: T): T | undefined {
  return value === 0 || value === '' || (Array.isArray(value) && value.length === 0) ? undefined : value;
}

function recordJson(record: ConfigRecord): GoJsonValue {
  return {
    layers: orAbsent(record.results.map((r) => ({ layer: r.layer, createdAt: formatTime(r.createdAt) }))),
    chains: orAbsent(record.chains.map((c) => ({ layers: c.layers, createdAt: formatTime(c.createdAt) }))),
    digest: orAbsent(record.digest),
    inputs: orAbsent(
      record.inputs.map((links) => links.map((l) => ({ selector: orAbsent(l.selector), link: l.link }))),
    ),
  };
}

export function encodeConfig({ layers, records }: CacheConfig): Uint8Array {
  return goJsonBytes({
    layers: orAbsent(layers.map((l) => ({ blob: l.blob as string, parent: orAbsent(l.parent) }))),
    records: orAbsent(records.map(recordJson)),
  });
}

/** What an image config carries: its layers are the image's. */
export function encodeRecords(records: readonly ConfigRecord[]): Uint8Array {
  return goJsonBytes(records.map(recordJson));
}
