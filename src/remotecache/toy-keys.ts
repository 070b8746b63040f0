/** Keys of a cache whose results are nothing but layers: what this folder's tests export. */
import { notFound } from '../base/index.ts';
import type { BlobReader, ContentProvider } from '../content/types.ts';
import { digestOf, MediaType } from '../oci/index.ts';
import type { Descriptor } from '../oci/types.ts';
import { rootKeyId } from '../solver/index.ts';
import type { CachedResult, CacheKey, CacheManager, KeyWay, Result } from '../solver/index.ts';
import type { ImmutableRef, Remote } from '../storage/types.ts';

export const GZIP = { type: 'gzip', force: false } as const;

export function layer(text: string): Descriptor {
  return {
    mediaType: MediaType.ociLayerGzip,
    digest: digestOf(text),
    size: Buffer.byteLength(text),
    annotations: { 'containerd.io/uncompressed': digestOf(`unpacked ${text}`) },
  };
}

/** Bytes in memory, closed as often as opened. */
export class ToyBlobs implements ContentProvider {
  readonly bytes = new Map<string, Uint8Array>();
  open = 0;

  add(text: string): void {
    this.bytes.set(digestOf(text), Buffer.from(text));
  }

  async reader({ digest }: { digest: string }): Promise<BlobReader> {
    const bytes = this.bytes.get(digest);
    if (bytes === undefined) throw notFound(`blob ${digest}: not found`);
    this.open++;
    return {
      size: bytes.length,
      read: async (offset, length) => bytes.subarray(offset, offset + length),
      async *stream() {
        yield bytes;
      },
      close: async () => {
        this.open--;
      },
    };
  }
}

/** `made` layers exist already; others appear when they are asked for with `create`. */
export class ToyCache {
  readonly blobs = new ToyBlobs();
  readonly made = new Set<string>();
  readonly created: string[] = [];
  live = 0;
  /** What the store knows besides. */
  readonly ways = new Map<string, readonly KeyWay[]>();
  readonly #layers = new Map<string, readonly string[]>();
  readonly manager: CacheManager;

  constructor() {
    const records = (key: CacheKey) =>
      this.#layers.has(key.id) ? [{ id: key.id, createdAt: 1_700_000_000_000_000_000n, priority: 0 }] : [];
    this.manager = {
      id: 'toy',
      query: async () => [],
      records: async (key) => records(key).map((r) => ({ ...r, manager: this.manager, key })),
      load: async (record) => this.#result(record.id),
      save: async (key) => key,
      link: async () => {},
      releaseUnreferenced: async () => {},
      waysTo: (id) => this.ways.get(id) ?? [],
    };
  }

  key(
    name: string,
    inputs: readonly (readonly [CacheKey, string?][])[],
    layers: readonly string[] = [],
    exportCache?: boolean,
  ): CacheKey {
    const digest = name.startsWith('random:') ? name : digestOf(name);
    const id = inputs.length === 0 ? rootKeyId(digest, 0) : name;
    for (const text of layers) this.blobs.add(text);
    if (layers.length > 0) this.#layers.set(id, layers);
    const deps = inputs.map((keys) => keys.map(([key, selector]) => ({ key, selector })));
    return { id, digest, output: 0, deps, stored: new Map([[this.manager, id]]), exportCache };
  }

  result(cacheKeys: readonly CacheKey[]): CachedResult {
    const edge = { vertex: { digest: '', name: '', inputs: [], sys: undefined, options: {} }, index: 0 };
    const result = this.#result(cacheKeys[0].id);
    return { ...result, edge, cacheKeys, fork: () => this.result(cacheKeys) };
  }

  #result(id: string): Result {
    const layers = this.#layers.get(id) ?? [];
    this.live++;
    const remote = async (_compression: unknown, { create }: { create: boolean }): Promise<Remote | undefined> => {
      const missing = layers.filter((l) => !this.made.has(l));
      if (!create && missing.length > 0) return undefined;
      for (const l of missing) this.created.push(l);
      for (const l of missing) this.made.add(l);
      return { descriptors: layers.map((l) => layer(l)), provider: this.blobs };
    };
    return {
      id,
      sys: { remote } as unknown as ImmutableRef,
      fork: () => this.#result(id),
      release: async () => void this.live--,
    };
  }
}
