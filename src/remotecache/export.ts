/** Writes a cache: its layers, its config, and a manifest that names them all. */
import { BuildError, Code, isNotFound, logger, mapConcurrent, oneLine, wrapError } from '../base/index.ts';
import type { StepProgress } from '../base/index.ts';
import { digestOf, goJson, goJsonBytes, MediaType, toDockerMediaType, toOciMediaType } from '../oci/index.ts';
import type { GoJsonValue } from '../oci/index.ts';
import type { ContentProvider } from '../content/types.ts';
import type { Compression, Descriptor } from '../oci/types.ts';
import type { CachedResult } from '../solver/index.ts';
import type { ManifestForm } from './attrs.ts';
import { collectRecords } from './collect.ts';
import { CACHE_CONFIG_TYPE, configOf, encodeConfig } from './config.ts';
import type { CacheConfig, ConfigBlob } from './config.ts';
import { bytesProvider } from './places.ts';
import type { CacheSink } from './places.ts';
import { RecordGraph } from './record-graph.ts';
import type { LayerResult } from './record-graph.ts';
import type { CacheContext } from './types.ts';

export interface CacheExport {
  readonly mode: 'min' | 'max';
  readonly compression: Compression;
  readonly form: ManifestForm;
  open(context: CacheContext): Promise<CacheSink>;
}

/** Blobs on their way at a time, as upstream's limit for one registry. */
const TRANSFERS = 4;

function describe(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function descriptorJson({ mediaType, digest, size, annotations }: Descriptor): GoJsonValue {
  const notes = Object.entries(annotations ?? {});
  return { mediaType, digest: digest as string, size, annotations: notes.length === 0 ? undefined : new Map(notes) };
}

/** Upstream: cache/remotecache/export.go ExportableCache. */
export function cacheManifest(
  form: ManifestForm,
  layers: readonly Descriptor[],
  config: Descriptor,
): { descriptor: Descriptor; bytes: Uint8Array } {
  const converted = layers.map((layer) => ({
    ...layer,
    mediaType: form.ociTypes ? toOciMediaType(layer.mediaType) : toDockerMediaType(layer.mediaType),
  }));
  const indexType = form.ociTypes ? MediaType.ociIndex : MediaType.dockerIndex;
  const mediaType = form.imageManifest ? MediaType.ociManifest : indexType;
  const bytes = goJsonBytes({
    schemaVersion: 2,
    mediaType,
    ...(form.imageManifest
      ? { config: descriptorJson(config), layers: converted.map(descriptorJson) }
      : { manifests: [...converted, config].map(descriptorJson) }),
  });
  return { descriptor: describe(mediaType, bytes), bytes };
}

async function wrapped<T>(context: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw wrapError(error, context);
  }
}

/** Layers that the places they were to come from no longer have. */
class MissingBlobs {
  readonly #digests = new Set<string>();

  get some(): boolean {
    return this.#digests.size > 0;
  }

  has({ digest }: Pick<Descriptor, 'digest'>): boolean {
    return this.#digests.has(digest);
  }

  /** The same provider; what it does not find is noted. */
  notedBy(provider: ContentProvider): ContentProvider {
    return {
      reader: (descriptor, signal) =>
        this.#noting(descriptor, async () => {
          const reader = await provider.reader(descriptor, signal);
          const noting = <T>(work: () => Promise<T>): Promise<T> => this.#noting(descriptor, work);
          return {
            size: reader.size,
            read: (offset, length) => noting(() => reader.read(offset, length)),
            async *stream(offset) {
              const chunks = reader.stream(offset)[Symbol.asyncIterator]();
              try {
                for (let next = await noting(() => chunks.next()); next.done !== true;) {
                  yield next.value;
                  next = await noting(() => chunks.next());
                }
              } finally {
                await chunks.return?.();
              }
            },
            close: () => reader.close(),
          };
        }),
    };
  }

  async #noting<T>({ digest }: Pick<Descriptor, 'digest'>, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isNotFound(error)) this.#digests.add(digest);
      throw error;
    }
  }
}

/** Gives the layers that could not be sent because they are gone. */
async function putLayers(
  sink: CacheSink,
  layers: readonly ConfigBlob[],
  progress: StepProgress,
): Promise<MissingBlobs> {
  const missing = new MissingBlobs();
  await mapConcurrent(layers, TRANSFERS, ({ descriptor, provider }) =>
    oneLine(progress, `writing layer ${descriptor.digest}`, async () => {
      try {
        await sink.putBlob(descriptor, missing.notedBy(provider));
      } catch (error) {
        if (!missing.has(descriptor)) throw wrapError(error, 'error writing layer blob');
        logger.warn('a layer is gone from the cache that it was imported from', { layer: descriptor.digest });
      }
    }),
  );
  return missing;
}

async function send(whole: RecordGraph, options: CacheExport, context: CacheContext): Promise<Map<string, string>> {
  const { progress } = context;
  const { form } = options;
  const sent = new Set<string>();
  let sink: CacheSink | undefined;
  for (let graph = whole; ;) {
    const { config, blobs } = configOf(graph);
    if (config.layers.length === 0) {
      logger.warn('failed to match any cache with layers');
      await oneLine(progress, 'skipping cache export for empty result', async () => {});
      return new Map();
    }
    if (form.imageManifest && !form.ociTypes) {
      throw new BuildError(
        Code.Unknown,
        'invalid configuration for remote cache, OCI mediatypes are required for image-manifest cache format',
      );
    }
    sink ??= await options.open(context);
    const layers = config.layers.map((l) => blobs.get(l.blob) as ConfigBlob);
    const open = [...new Set(layers)].filter(({ descriptor }) => !sent.has(descriptor.digest));
    const missing = await putLayers(sink, open, progress);
    if (!missing.some) return await putConfig(sink, { config, layers }, form, progress);
    for (const { descriptor } of open) if (!missing.has(descriptor)) sent.add(descriptor.digest);
    const isThere = (result: LayerResult): boolean => !result.layers.some((layer) => missing.has(layer));
    graph = graph.withResults((item) => item.results.filter(isThere));
  }
}

/** What names the layers, which are there: the config, then the manifest. */
async function putConfig(
  sink: CacheSink,
  { config, layers }: { readonly config: CacheConfig; readonly layers: readonly ConfigBlob[] },
  form: ManifestForm,
  progress: StepProgress,
): Promise<Map<string, string>> {
  const configBytes = encodeConfig(config);
  const configDescriptor = describe(CACHE_CONFIG_TYPE, configBytes);
  await oneLine(progress, `writing config ${configDescriptor.digest}`, () =>
    wrapped('error writing config blob', () => sink.putBlob(configDescriptor, bytesProvider(configBytes))),
  );
  const { descriptor, bytes } = cacheManifest(
    form,
    layers.map((l) => l.descriptor),
    configDescriptor,
  );
  const kind = form.imageManifest ? 'image manifest' : 'manifest';
  await oneLine(progress, `writing cache ${kind} ${descriptor.digest}`, () =>
    wrapped('error writing manifest blob', () => sink.putManifest(descriptor, bytes)),
  );
  return new Map([['cache.manifest', goJson(descriptorJson(descriptor))]]);
}

/** Results stay the caller's. */
export async function exportCache(
  results: readonly CachedResult[],
  options: CacheExport,
  context: CacheContext,
): Promise<Map<string, string>> {
  const { mode, compression } = options;
  const { signal, progress, sessionId } = context;
  const storage = { signal, progress, sessions: () => (sessionId === '' ? [] : [sessionId]) };
  const graph = new RecordGraph();
  await oneLine(progress, 'preparing build cache for export', async () => {
    for (const { cacheKeys } of results) {
      await collectRecords(graph, cacheKeys, { mode, compression, context: storage });
    }
  });
  return oneLine(progress, 'sending cache export', () => send(graph, options, context));
}
