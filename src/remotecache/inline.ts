/** The cache that an image carries in its own config: records whose layers are layers of the image. */
import { BuildError, Code, logger } from '../base/index.ts';
import type { Compression, Digest } from '../oci/types.ts';
import type { CachedResult } from '../solver/index.ts';
import type { ImmutableRef, StorageContext } from '../storage/types.ts';
import { collectRecords } from './collect.ts';
import { configOf, encodeRecords } from './config.ts';
import type { ConfigLayer, ConfigRecord } from './config.ts';
import { RecordGraph } from './record-graph.ts';

const UNCOMPRESSED = 'containerd.io/uncompressed';
/** Go's zero time: chains are written without one (upstream: cache/remotecache/inline/inline.go). */
const NO_TIME = -62_135_596_800_000_000_000n;

function blobsOf(layers: readonly ConfigLayer[], top: number): Digest[] {
  const blobs: Digest[] = [];
  for (let i = top; i !== -1; i = layers[i].parent) blobs.push(layers[i].blob);
  return blobs.toReversed();
}

/** Where blobs stand in the image: under their own digest or that of what they unpack to. */
class ImageLayers {
  readonly #positions = new Map<Digest, number[]>();
  readonly #count: number;

  constructor(layers: readonly Digest[], blobs: Iterable<{ digest: Digest; unpacked: string | undefined }>) {
    this.#count = layers.length;
    const byDigest = new Map<string, number[]>();
    for (const [i, layer] of layers.entries()) byDigest.set(layer, [...(byDigest.get(layer) ?? []), i]);
    for (const { digest, unpacked } of blobs) {
      const found = byDigest.get(digest) ?? (unpacked === undefined ? undefined : byDigest.get(unpacked));
      if (found !== undefined) this.#positions.set(digest, found);
    }
  }

  has(blob: Digest): boolean {
    return this.#positions.has(blob);
  }

  /** Whether the image begins with exactly these. */
  startsWith(blobs: readonly Digest[]): boolean {
    return blobs.length <= this.#count && blobs.every((blob, i) => this.#positions.get(blob)?.includes(i));
  }

  positionOf(blob: Digest): number {
    const last = this.#positions.get(blob)?.at(-1);
    if (last === undefined) throw new BuildError(Code.Unknown, `failed to find blob ${blob} in layers`);
    return last;
  }
}

/** The best results, where the image holds all layers of them. */
function restrict(graph: RecordGraph, image: ImageLayers): RecordGraph {
  return graph.withResults(({ best }) => (best?.layers.every((l) => image.has(l.digest)) === true ? [best] : []));
}

/** Records for an image of these layers, base first; undefined when none of them is known to the graph. */
export function inlineRecords(graph: RecordGraph, layers: readonly Digest[]): Uint8Array | undefined {
  const best = graph.items.flatMap((item) => item.best?.layers ?? []);
  const image = new ImageLayers(
    layers,
    best.map((l) => ({ digest: l.digest, unpacked: l.annotations?.[UNCOMPRESSED] })),
  );
  const { config } = configOf(restrict(graph, image));
  if (config.layers.length === 0) {
    logger.warn('failed to match any cache with layers');
    return undefined;
  }
  const records = config.records.map((record): ConfigRecord => {
    const stacks = record.results.map((r) => ({ ...r, blobs: blobsOf(config.layers, r.layer) }));
    return {
      ...record,
      results: stacks
        .filter((s) => image.startsWith(s.blobs))
        .map((s) => ({ layer: s.blobs.length - 1, createdAt: s.createdAt })),
      chains: stacks
        .filter((s) => !image.startsWith(s.blobs))
        .map((s) => ({ layers: s.blobs.map((b) => image.positionOf(b)), createdAt: NO_TIME })),
    };
  });
  return encodeRecords(records);
}

/**
 * JSON bytes for `moby.buildkit.cache.v0` of the config of an image of that result, written with that compression.
 * undefined: there is nothing to say.
 */
export async function inlineCacheOf(
  result: CachedResult,
  compression: Compression,
  context: StorageContext,
): Promise<Uint8Array | undefined> {
  const ref = result.sys as ImmutableRef | undefined;
  const remote = await ref?.remote(compression, { create: true }, context);
  if (remote === undefined) return undefined;
  const graph = new RecordGraph();
  await collectRecords(graph, result.cacheKeys, { mode: 'min', compression, context });
  return inlineRecords(
    graph,
    remote.descriptors.map((d) => d.digest),
  );
}
