import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { formatTime, mapConcurrent, SharedCalls } from '../../base/index.ts';
import type { BlobReader } from '../../content/types.ts';
import type { Compression, CompressionType, Descriptor, Digest } from '../../oci/types.ts';
import { convertBlob, writeLayer } from '../diff/index.ts';
import type { WrittenLayer } from '../diff/index.ts';
import type { Remote, RemoteOptions, StorageContext } from '../types.ts';
import type { CacheCore } from './cache-core.ts';
import type { Realiser } from './realise.ts';
import type { CacheRecord, RecordData } from './record.ts';

/** image-spec layer media types; containerd/images/mediatypes.go for the label's name. */
const MEDIA_TYPES: Readonly<Record<CompressionType, string>> = {
  uncompressed: 'application/vnd.oci.image.layer.v1.tar',
  gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  estargz: 'application/vnd.oci.image.layer.v1.tar+gzip',
  zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
};
export const UNCOMPRESSED = 'containerd.io/uncompressed';
export const CREATED_AT = 'buildkit/createdat';

export function compressionOf(mediaType: string): CompressionType {
  if (/[+.]gzip$/.test(mediaType)) return 'gzip';
  if (/[+.]zstd$/.test(mediaType)) return 'zstd';
  return 'uncompressed';
}

/** image-spec config.md, ChainID; the same sum serves for blob digests. */
export function chainIdOf(parent: Digest | undefined, own: Digest): Digest {
  if (parent === undefined) return own;
  return `sha256:${createHash('sha256').update(`${parent} ${own}`).digest('hex')}` as Digest;
}

/** A layer that may not be pushed becomes one that may: its bytes are the same. */
function distributable(mediaType: string): string {
  return mediaType.replace('.layer.nondistributable.', '.layer.').replace('.rootfs.foreign.', '.rootfs.');
}

/** The other way round. */
function foreign(mediaType: string): string {
  return distributable(mediaType)
    .replace('.layer.', '.layer.nondistributable.')
    .replace('.rootfs.', '.rootfs.foreign.');
}

/** Layers as blobs: found, computed and converted, once for all who ask at a time. */
export class LayerBlobs {
  readonly #core: CacheCore;
  readonly #realiser: Realiser;
  readonly #work = new SharedCalls<string, void>();

  constructor(core: CacheCore, realiser: Realiser) {
    this.#core = core;
    this.#realiser = realiser;
  }

  async remote(
    record: CacheRecord,
    compression: Compression,
    options: RemoteOptions,
    context: StorageContext,
  ): Promise<Remote | undefined> {
    const hold = this.#core.hold(record, { what: 'remote', touch: false });
    try {
      if (options.create) this.#core.finalize(record);
      const chain = this.#core.store.layerChain(record);
      // Most often it is the uppermost that has none.
      if (!options.create && chain.findLast((layer) => this.#owner(layer).data.blob === undefined)) return undefined;
      const layers = await mapConcurrent(chain, 4, (layer) => this.#layer(layer, compression, options, context));
      if (layers.some((layer) => layer === undefined)) return undefined;
      this.#saveChainIds(chain);
      return this.#remoteOf(layers as readonly LayerBlob[], options.keepForeign === true, context);
    } finally {
      hold.release();
    }
  }

  /** The chain as it is, and once more for each compression that all of its layers have. */
  async remotes(record: CacheRecord, compression: Compression, context: StorageContext): Promise<readonly Remote[]> {
    const forms: Compression[] = [{ ...compression, force: false }];
    for (const type of ['uncompressed', 'gzip', 'zstd'] as const) forms.push({ type, force: true });
    const found = new Map<string, Remote>();
    for (const form of forms) {
      const remote = await this.remote(record, form, { create: false }, context);
      if (remote !== undefined) found.set(remote.descriptors.map((d) => d.digest).join(), remote);
    }
    return [...found.values()];
  }

  async #layer(
    record: CacheRecord,
    compression: Compression,
    options: { create: boolean },
    context: StorageContext,
  ): Promise<LayerBlob | undefined> {
    const source = this.#owner(record);
    if (source.data.blob === undefined) {
      if (!options.create) return undefined;
      await this.#work.do(`${source.id} make`, context.signal, (signal) =>
        this.#compute(source, compression, { ...context, signal }),
      );
    }
    const blob = source.data.blob as Descriptor;
    // No media type tells eStargz from gzip, so it is never found: making it says that it cannot be made.
    const matches = (d: Descriptor): boolean => compressionOf(d.mediaType) === compression.type;
    if (!compression.force || matches(blob)) return { source, descriptor: blob };
    const known = source.data.variants.find(matches);
    if (known !== undefined && this.#core.options.content.find(known.digest) !== undefined) {
      return { source, descriptor: known };
    }
    if (!options.create) return undefined;
    await this.#work.do(`${source.id} ${MEDIA_TYPES[compression.type]}`, context.signal, (signal) =>
      this.#convert(source, blob, compression, { ...context, signal }),
    );
    return { source, descriptor: source.data.variants.find(matches) as Descriptor };
  }

  /** A diff of neighbours is the upper one's own layer. */
  #owner(record: CacheRecord): CacheRecord {
    const { shape } = record.data;
    if (shape.kind !== 'diff' || shape.upper === undefined || record.data.blob !== undefined) return record;
    const upper = this.#core.store.get(shape.upper);
    const below = upper.data.shape;
    if (below.kind === 'layer' && below.parent === shape.lower) return upper;
    if (below.kind === 'base' && shape.lower === undefined) return upper;
    return record;
  }

  async #compute(record: CacheRecord, compression: Compression, context: StorageContext): Promise<void> {
    if (record.data.blob !== undefined) return;
    this.#core.finalize(record);
    using stack = new DisposableStack();
    stack.defer(this.#core.blobs.writing());
    const { lower, upper } = await this.#realiser.diffDirs(record, context);
    // The layers below were unpacked for that: it is known now.
    const system = this.#core.store.systemOf(record);
    const descriptor = await this.#write(record, compression, (path) =>
      writeLayer(
        { lower, upper, compression, path, ...(system === undefined ? {} : { system }) },
        context.signal === undefined ? {} : { signal: context.signal },
      ),
    );
    const { size: _size, ...data } = record.data; // the blob counts too
    this.#core.store.change({ put: [{ ...data, blob: descriptor.descriptor, diffId: descriptor.diffId }] });
  }

  async #convert(
    record: CacheRecord,
    blob: Descriptor,
    compression: Compression,
    context: StorageContext,
  ): Promise<void> {
    using stack = new DisposableStack();
    stack.defer(this.#core.blobs.writing());
    await this.#realiser.fetch(record, context);
    const source = this.#core.options.content.pathOf(blob.digest);
    const { descriptor } = await this.#write(record, compression, (path) =>
      convertBlob({ source, path, compression }, context.signal === undefined ? {} : { signal: context.signal }),
    );
    const { size: _size, ...data } = record.data;
    const others = data.variants.filter((v) => v.mediaType !== descriptor.mediaType);
    this.#core.store.change({ put: [{ ...data, variants: [...others, descriptor] }] });
  }

  async #write(
    record: CacheRecord,
    compression: Compression,
    write: (path: string) => Promise<WrittenLayer>,
  ): Promise<{ descriptor: Descriptor; diffId: Digest }> {
    const { content } = this.#core.options;
    const path = content.temporaryPath();
    try {
      const { digest, size, diffId } = await write(path);
      await content.adopt(path, { digest, size, labels: new Map([[UNCOMPRESSED, diffId as string]]) });
      const annotations = { [UNCOMPRESSED]: diffId as string, [CREATED_AT]: formatTime(record.data.createdAt) };
      return { descriptor: { mediaType: MEDIA_TYPES[compression.type], digest, size, annotations }, diffId };
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    }
  }

  /** Records whose blobs are known now can be found by their chain. */
  #saveChainIds(chain: readonly CacheRecord[]): void {
    const changed: RecordData[] = [];
    const known = new Map<string, { chainId: Digest; blobChainId: Digest }>();
    for (const record of chain) {
      const { data } = record;
      const below = data.shape.kind === 'layer' ? data.shape.parent : undefined;
      if (data.blob === undefined || data.diffId === undefined) continue;
      const parent = below === undefined ? undefined : (known.get(below) ?? this.#core.store.get(below).data);
      if (parent !== undefined && (parent.chainId === undefined || parent.blobChainId === undefined)) continue;
      const chainId = chainIdOf(parent?.chainId, data.diffId);
      const blobChainId = chainIdOf(parent?.blobChainId, data.blob.digest);
      known.set(record.id, { chainId, blobChainId });
      if (data.chainId !== chainId || data.blobChainId !== blobChainId) changed.push({ ...data, chainId, blobChainId });
    }
    if (changed.length > 0) this.#core.store.change({ put: changed });
  }

  #remoteOf(layers: readonly LayerBlob[], keepForeign: boolean, context: StorageContext): Remote {
    const { content } = this.#core.options;
    const sources = new Map(layers.map(({ source, descriptor }) => [descriptor.digest, source]));
    return {
      descriptors: layers.map(({ source, descriptor }) => describe(source, descriptor, keepForeign)),
      provider: {
        reader: async (descriptor, signal): Promise<BlobReader> => {
          const source = sources.get(descriptor.digest);
          if (source !== undefined && content.find(descriptor.digest) === undefined) {
            await this.#realiser.fetch(source, { ...context, ...(signal === undefined ? {} : { signal }) });
          }
          return await content.reader(descriptor);
        },
      },
    };
  }
}

interface LayerBlob {
  readonly source: CacheRecord;
  readonly descriptor: Descriptor;
}

function describe(source: CacheRecord, blob: Descriptor, keepForeign: boolean): Descriptor {
  const { urls = [], ...rest } = blob;
  // Without a place to get it from, what is not pushed would be lost; one that has such a place may have had any type.
  const kept = keepForeign && urls.length > 0;
  return {
    ...rest,
    ...(kept ? { urls, mediaType: foreign(blob.mediaType) } : { mediaType: distributable(blob.mediaType) }),
    annotations: {
      ...blob.annotations,
      ...(source.data.diffId === undefined ? {} : { [UNCOMPRESSED]: source.data.diffId }),
      [CREATED_AT]: blob.annotations?.[CREATED_AT] ?? formatTime(source.data.createdAt),
    },
  };
}
