/** Cache configs that others wrote: nothing in them is believed unchecked. */
import { BuildError, Code, invalidArgument, parseTime } from '../base/index.ts';
import type { ContentProvider } from '../content/types.ts';
import { isDigest } from '../oci/index.ts';
import type { Descriptor, Digest } from '../oci/types.ts';
import type { CacheConfig, ConfigLayer, ConfigRecord } from './config.ts';
import type { CacheItem, LayerResult, RecordGraph } from './record-graph.ts';

type Json = Readonly<Record<string, unknown>>;

const UNCOMPRESSED = 'containerd.io/uncompressed';
/** Layers of all results together: each record may name a long chain again. */
const MAX_TOTAL_LAYERS = 1_000_000;

function invalid(what: string): BuildError {
  return invalidArgument(`invalid cache config: ${what}`);
}

export function parseJsonBytes(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown;
  } catch (error) {
    throw invalidArgument(`failed to unmarshal ${what}: ${(error as Error).message}`, { cause: error });
  }
}

export function asObject(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw invalid(`${what} is not an object`);
}

export function asList(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw invalid(`${what} is not a list`);
}

function asText(value: unknown, what: string): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  throw invalid(`${what} is not a string`);
}

/** Left out means 0, as Go writes it. */
function asIndex(value: unknown, what: string): number {
  if (value === undefined || value === null) return 0;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw invalid(`${what} is not an integer`);
}

/** Times before 1970 are Go's zero time: older than all others. */
function asTime(value: unknown): bigint {
  const text = asText(value, 'createdAt');
  if (text === '') return 0n;
  const time = parseTime(text);
  if (time === undefined) throw invalid(`createdAt ${JSON.stringify(text)} is not a time`);
  return time < 0n ? 0n : time;
}

function parseLayer(value: unknown): ConfigLayer {
  const { blob, parent } = asObject(value, 'layer');
  if (!isDigest(blob)) throw invalid('layer without a digest');
  return { blob, parent: asIndex(parent, 'parent') };
}

function parseRecord(value: unknown): ConfigRecord {
  const record = asObject(value, 'record');
  return {
    digest: asText(record.digest, 'digest'),
    results: asList(record.layers, 'layers').map((v) => {
      const { layer, createdAt } = asObject(v, 'result');
      return { layer: asIndex(layer, 'layer'), createdAt: asTime(createdAt) };
    }),
    chains: asList(record.chains, 'chains').map((v) => {
      const { layers, createdAt } = asObject(v, 'chain');
      return { layers: asList(layers, 'layers').map((l) => asIndex(l, 'layer')), createdAt: asTime(createdAt) };
    }),
    inputs: asList(record.inputs, 'inputs').map((links) =>
      asList(links, 'input').map((v) => {
        const { selector, link } = asObject(v, 'link');
        return { selector: asText(selector, 'selector'), link: asIndex(link, 'link') };
      }),
    ),
  };
}

export function parseRecords(value: unknown): ConfigRecord[] {
  return asList(value, 'records').map(parseRecord);
}

/** Throws InvalidArgument. */
export function parseConfig(bytes: Uint8Array): CacheConfig {
  const json = asObject(parseJsonBytes(bytes, 'cache config'), 'config');
  return { layers: asList(json.layers, 'layers').map(parseLayer), records: parseRecords(json.records) };
}

export interface LayerSource {
  /** By digest. Results with layers that are not here are left out. */
  readonly descriptors: ReadonlyMap<Digest, Descriptor>;
  readonly provider: ContentProvider;
}

/** The layers that results name, as far as they can be had. */
class LayerChains {
  readonly #layers: readonly ConfigLayer[];
  readonly #source: LayerSource;
  #total = 0;

  constructor(layers: readonly ConfigLayer[], source: LayerSource) {
    this.#layers = layers;
    this.#source = source;
  }

  #at(index: number): ConfigLayer {
    if (index < 0 || index >= this.#layers.length) throw invalidArgument(`invalid layer index ${index}`);
    if (++this.#total > MAX_TOTAL_LAYERS) throw new BuildError(Code.ResourceExhausted, 'cache config is too large');
    return this.#layers[index];
  }

  /** With all layers below it. */
  below(top: number): ConfigLayer[] {
    const found: ConfigLayer[] = [];
    for (let i = top; i !== -1; i = found[found.length - 1].parent) {
      if (found.length > this.#layers.length) throw invalidArgument('invalid looping layer');
      found.push(this.#at(i));
    }
    return found.toReversed();
  }

  each(indexes: readonly number[]): ConfigLayer[] {
    return indexes.map((i) => this.#at(i));
  }

  result(layers: readonly ConfigLayer[], createdAt: bigint): LayerResult[] {
    const { descriptors, provider } = this.#source;
    const found = layers.flatMap((l) => descriptors.get(l.blob) ?? []);
    // What a layer unpacks to must be known to tell what it is.
    const isUsable = found.length === layers.length && found.every((l) => isDigest(l.annotations?.[UNCOMPRESSED]));
    return isUsable && found.length > 0 ? [{ createdAt, layers: found, provider }] : [];
  }
}

/** Adds what the config says to the graph. Throws InvalidArgument, with upstream's texts (cache/remotecache/v1/parse.go). */
export function addConfig(graph: RecordGraph, { layers, records }: CacheConfig, source: LayerSource): void {
  const chains = new LayerChains(layers, source);
  const done = new Map<number, CacheItem | undefined>();
  const open = new Set<number>();
  const add = (index: number): void => {
    const record = records[index];
    const inputs = record.inputs.map((links) =>
      links.flatMap(({ link, selector }) => {
        const item = done.get(link);
        return item === undefined ? [] : [{ source: item, selector }];
      }),
    );
    const results = [
      ...record.results.flatMap((r) => chains.result(chains.below(r.layer), r.createdAt)),
      ...record.chains.flatMap((c) => chains.result(chains.each(c.layers), c.createdAt)),
    ];
    done.set(index, graph.add(record.digest, inputs, results));
  };
  for (const start of records.keys()) {
    const stack = [start];
    for (let index = stack.at(-1); index !== undefined; index = stack.at(-1)) {
      if (index < 0 || index >= records.length) throw invalidArgument(`invalid record ID: ${index}`);
      if (done.has(index)) {
        stack.pop();
        continue;
      }
      const { inputs } = records[index];
      if (inputs.some((links) => links.length === 0)) {
        throw invalidArgument(`invalid empty input for record ${index}`);
      }
      const missing = inputs.flat().filter(({ link }) => !done.has(link));
      if (missing.length === 0) {
        add(index);
        open.delete(index);
        stack.pop();
        continue;
      }
      if (open.has(index)) throw invalidArgument('invalid looping record');
      open.add(index);
      for (const { link } of missing) stack.push(link);
    }
  }
}
