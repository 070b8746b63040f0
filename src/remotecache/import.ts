/** Reads a cache: one that was exported as such, or those that the images of a reference carry. */
import { BuildError, Code, logger, mapConcurrent, nowNs } from '../base/index.ts';
import type { StepProgress } from '../base/index.ts';
import { readBlob } from '../content/index.ts';
import {
  configDiffIds,
  detectManifestType,
  digestOf,
  isIndexType,
  isManifestType,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  parseDescriptor,
  parseImageConfig,
} from '../oci/index.ts';
import type { ImageConfig } from '../oci/index.ts';
import type { Descriptor } from '../oci/types.ts';
import type { LazyBlobProvider } from '../storage/types.ts';
import { CACHE_CONFIG_TYPE } from './config.ts';
import { addConfig, asList, asObject, parseConfig, parseJsonBytes, parseRecords } from './parse-config.ts';
import { RecordGraph } from './record-graph.ts';

/** What a layer's record is called here; goes no further. */
export const DESCRIPTION = 'buildkit/description';
/** Upstream: cache/remotecache/import.go readBlob. */
const MAX_CACHE_BYTES = 1 << 20;
/** Images of one reference that are looked into. */
const MAX_IMAGES = 256;
const MAX_DEPTH = 4;

export interface CacheOrigin {
  readonly root: Descriptor;
  readonly provider: LazyBlobProvider;
}

interface Reading {
  readonly provider: LazyBlobProvider;
  readonly signal: AbortSignal;
  readonly progress: StepProgress;
}

async function read(reading: Reading, descriptor: Descriptor, limit: number): Promise<Uint8Array> {
  const { digest, size } = descriptor;
  if (size > limit) throw new BuildError(Code.Unknown, `blob ${digest} is too large (${size} > ${limit})`);
  const bytes = await readBlob(reading.provider, descriptor, { limit, signal: reading.signal });
  if (digestOf(bytes) === digest) return bytes;
  throw new BuildError(Code.FailedPrecondition, `unexpected digest ${digestOf(bytes)}, expected ${digest}`);
}

interface Parts {
  readonly config: Descriptor | undefined;
  readonly others: readonly Descriptor[];
}

/** An index has its config among its manifests. */
function partsOf(bytes: Uint8Array, type: string): Parts {
  const json = asObject(parseJsonBytes(bytes, 'cache manifest'), 'manifest');
  if (isIndexType(type)) {
    const all = asList(json.manifests, 'manifests').map((v) => parseDescriptor(v));
    const isConfig = (d: Descriptor): boolean => d.mediaType === CACHE_CONFIG_TYPE;
    return { config: all.findLast(isConfig), others: all.filter((d) => !isConfig(d)) };
  }
  if (!isManifestType(type)) throw new BuildError(Code.Unknown, 'unsupported or uninferrable manifest type');
  const config = json.config === undefined || json.config === null ? undefined : parseDescriptor(json.config);
  return { config, others: asList(json.layers, 'layers').map((v) => parseDescriptor(v)) };
}

/** Throws what is wrong with the cache. */
export async function readCache(
  { root, provider }: CacheOrigin,
  context: { signal: AbortSignal; progress: StepProgress },
): Promise<RecordGraph> {
  const reading = { ...context, provider };
  const bytes = await read(reading, root, MAX_CACHE_BYTES);
  const type = detectManifestType(bytes);
  const now = nowNs();
  context.progress.status({ id: `inferred cache manifest type: ${type}`, started: now, completed: now });
  const { config, others } = partsOf(bytes, type);
  const graph = new RecordGraph();
  if (config?.mediaType !== CACHE_CONFIG_TYPE) {
    const images = await imagesOf(reading, bytes);
    await mapConcurrent(images, 4, (image) => addImage(graph, reading, image));
    return graph;
  }
  const descriptors = new Map(others.map((d) => [d.digest, d]));
  addConfig(graph, parseConfig(await read(reading, config, MAX_CACHE_BYTES)), { descriptors, provider });
  return graph;
}

/** The manifests below an index, each once. */
async function imagesOf(reading: Reading, root: Uint8Array): Promise<Uint8Array[]> {
  const found = new Map<string, Uint8Array>();
  const seen = new Set<string>();
  const visit = async (bytes: Uint8Array, depth: number): Promise<void> => {
    const type = detectManifestType(bytes);
    if (isManifestType(type)) found.set(digestOf(bytes), bytes);
    if (!isIndexType(type) || depth > MAX_DEPTH) return;
    for (const descriptor of partsOf(bytes, type).others) {
      if (seen.has(descriptor.digest)) continue;
      seen.add(descriptor.digest);
      if (seen.size > MAX_IMAGES) throw new BuildError(Code.ResourceExhausted, `more than ${MAX_IMAGES} manifests`);
      await visit(await read(reading, descriptor, MAX_MANIFEST_BYTES), depth + 1);
    }
  };
  await visit(root, 0);
  return [...found.values()];
}

/** When and how each layer was made, as the image's history tells. */
function layerNotes({ history = [] }: ImageConfig): Record<string, string>[] {
  return history
    .filter((h) => h.empty_layer !== true)
    .map(({ created, created_by: by }) => ({
      ...(typeof created === 'string' && created !== '' ? { 'buildkit/createdat': created } : {}),
      ...(typeof by === 'string' && by !== '' ? { [DESCRIPTION]: by } : {}),
    }));
}

async function addImage(graph: RecordGraph, reading: Reading, bytes: Uint8Array): Promise<void> {
  const { config: descriptor, others } = partsOf(bytes, detectManifestType(bytes));
  if (descriptor === undefined || others.length === 0) return;
  const image = parseImageConfig(await read(reading, descriptor, MAX_CONFIG_BYTES));
  const diffIds = configDiffIds(image);
  if (diffIds.length !== others.length) {
    logger.warn('invalid image with mismatching manifest and config');
    return;
  }
  const cache = image['moby.buildkit.cache.v0'];
  if (typeof cache !== 'string' || cache === '') return;
  const records = parseRecords(parseJsonBytes(Buffer.from(cache, 'base64'), 'inline cache'));
  const notes = layerNotes(image);
  const descriptors = others.map((layer, i) => ({
    ...layer,
    annotations: { ...layer.annotations, ...notes[i], 'containerd.io/uncompressed': diffIds[i] as string },
  }));
  const layers = descriptors.map(({ digest }, i) => ({ blob: digest, parent: i - 1 }));
  addConfig(
    graph,
    { layers, records },
    { descriptors: new Map(descriptors.map((d) => [d.digest, d])), provider: reading.provider },
  );
}
