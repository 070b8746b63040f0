import { invalidArgument, notFound, nowNs, parseTime } from '../../base/index.ts';
import type { Descriptor, Digest } from '../../oci/types.ts';
import type {
  CacheAccessor,
  CopyDirs,
  CreateOptions,
  DiskUsageRecord,
  ImageSystem,
  ImmutableRef,
  LazyBlobProvider,
  MutableRef,
  PruneOptions,
  RecordMetadata,
} from '../types.ts';
import type { SnapshotId } from '../snapshots/index.ts';
import { CacheCore, locked } from './cache-core.ts';
import { diskUsage } from './disk-usage.ts';
import { chainIdOf, CREATED_AT, LayerBlobs, UNCOMPRESSED } from './layer-blobs.ts';
import { loadRecords } from './load-records.ts';
import { MountSets } from './mount-sets.ts';
import type { CacheOptions } from './options.ts';
import { Pruner } from './prune.ts';
import { Realiser } from './realise.ts';
import type { CacheRecord, Shape } from './record.ts';
import { RecordSizes } from './record-sizes.ts';
import { StoredImmutableRef, StoredMetadata, StoredMutableRef } from './refs.ts';
import type { RefParts } from './refs.ts';

export interface Cache extends CacheAccessor {
  readonly mounts: MountSets;
  /** Refs and mounts that somebody holds. */
  held(): string[];
  /** Blobs listed by `owner` stay until the returned function is called. */
  protectBlobs(owner: () => Iterable<Digest>): () => void;
  /** Removes blobs that nobody names. */
  collectBlobs(): Promise<void>;
  /** The id that content digests of the ref's files are kept under. */
  treeKeyOf(ref: ImmutableRef): string;
  /** Snapshots that somebody may be writing to. */
  writable(): readonly number[];
  /** Waits for the files of removed records. */
  drained(): Promise<void>;
}

class SnapshotCache implements Cache {
  readonly snapshotter: string;
  readonly mounts: MountSets;
  readonly #core: CacheCore;
  readonly #parts: RefParts;
  readonly #sizes: RecordSizes;
  readonly #pruner: Pruner;

  constructor(core: CacheCore) {
    this.#core = core;
    this.snapshotter = core.options.snapshotter.name;
    this.mounts = new MountSets(core.options.root, core.options.kernel);
    this.#sizes = new RecordSizes(core);
    this.#pruner = new Pruner(core, this.#sizes);
    const realiser = new Realiser(core);
    const layers = new LayerBlobs(core, realiser);
    this.#parts = {
      core,
      mounts: this.mounts,
      unlazy: (record, context) => realiser.unlazy(record, context),
      remote: (record, compression, options, context) => layers.remote(record, compression, options, context),
      remotes: (record, compression, context) => layers.remotes(record, compression, context),
      size: (record) => this.#sizes.size(record),
    };
  }

  #immutable(record: CacheRecord): ImmutableRef {
    return new StoredImmutableRef(this.#parts, this.#core.hold(record));
  }

  /** The record of a ref that the caller holds. */
  #recordOf(ref: ImmutableRef): CacheRecord {
    return this.#core.store.get(ref.id);
  }

  async create(parent: ImmutableRef | undefined, options: CreateOptions = {}): Promise<MutableRef> {
    const core = this.#core;
    if (parent === undefined) return await this.#create({ kind: 'base' }, undefined, options);
    const below = this.#recordOf(parent);
    const hold = core.hold(below, { what: 'parent', touch: false });
    try {
      core.finalize(below);
      await this.#parts.unlazy(below, {});
      return await this.#create({ kind: 'layer', parent: below.id }, below, options);
    } finally {
      hold.release();
    }
  }

  async #create(shape: Shape, parent: CacheRecord | undefined, options: CreateOptions): Promise<MutableRef> {
    const core = this.#core;
    const snapshot = await core.options.snapshotter.prepare(parent?.data.snapshot);
    try {
      const record = core.insert(core.newRecord(shape, true, options, { snapshot }));
      return new StoredMutableRef(this.#parts, core.hold(record));
    } catch (error) {
      core.discardSnapshot(snapshot);
      throw error;
    }
  }

  async copyDirs(source: ImmutableRef, target: MutableRef): Promise<CopyDirs> {
    const { store, options } = this.#core;
    await source.unlazy({});
    const { snapshotter } = options;
    const from = this.#recordOf(source).data.snapshot as SnapshotId;
    const to = store.get(target.id).data.snapshot as SnapshotId;
    return { layers: snapshotter.layers(from), target: snapshotter.layers(to)[0] as string };
  }

  // oxlint-disable-next-line require-await -- failures are rejections
  async get(id: string): Promise<ImmutableRef> {
    const record = this.#core.store.get(id);
    if (!record.data.mutable) return this.#immutable(record);
    if (record.users > 0) throw locked(id);
    // Nobody writes to it any more: what is there is its content.
    return this.#immutable(record.twin ?? this.#core.commit(record));
  }

  // oxlint-disable-next-line require-await -- failures are rejections
  async getMutable(id: string): Promise<MutableRef> {
    const record = this.#core.store.get(id);
    if (!record.data.mutable) throw invalidArgument(`${id} is not mutable: invalid`);
    if (record.refs > 0) throw locked(id);
    this.#core.reopen(record);
    return new StoredMutableRef(this.#parts, this.#core.hold(record));
  }

  // oxlint-disable-next-line require-await -- failures are rejections
  async fromBlob(
    descriptor: Descriptor,
    parent: ImmutableRef | undefined,
    options: CreateOptions & { provider?: LazyBlobProvider },
  ): Promise<ImmutableRef> {
    const core = this.#core;
    const { provider } = options;
    const diffId = descriptor.annotations?.[UNCOMPRESSED] as Digest | undefined;
    if (diffId === undefined) throw invalidArgument(`missing uncompressed annotation for ${descriptor.digest}`);
    if (!/^sha(256|512):[0-9a-f]+$/.test(diffId)) {
      throw invalidArgument(`failed to parse diffID "${diffId}" for ${descriptor.digest}`);
    }
    const below = parent === undefined ? undefined : this.#recordOf(parent);
    if (below !== undefined && (below.data.chainId === undefined || below.data.blobChainId === undefined)) {
      throw invalidArgument('failed to get ref by blob on non-addressable parent');
    }
    const chainId = chainIdOf(below?.data.chainId, diffId);
    const blobChainId = chainIdOf(below?.data.blobChainId, descriptor.digest);
    const known = core.store
      .search(`blobchainid:${blobChainId}`)
      .find((record) => mayBeOf(core.store.systemOf(record), options.system));
    if (known !== undefined) {
      this.#refresh(known, descriptor, options);
      return this.#immutable(known);
    }
    if (provider === undefined && core.options.content.find(descriptor.digest) === undefined) {
      // Upstream's text (cache/opts.go NeedsRemoteProviderError).
      throw notFound(`missing descriptor handlers for lazy blobs [${descriptor.digest}]`);
    }
    const shape: Shape = below === undefined ? { kind: 'base' } : { kind: 'layer', parent: below.id };
    if (below !== undefined) core.finalize(below);
    const record = core.insert(
      core.newRecord(shape, false, options, {
        blob: descriptor,
        ...(options.system === undefined ? {} : { system: options.system }),
        createdAt: parseTime(descriptor.annotations?.[CREATED_AT] ?? '') ?? nowNs(),
        diffId,
        chainId,
        blobChainId,
        ...(provider === undefined ? {} : { origin: provider.origin }),
      }),
    );
    record.provider = provider;
    return this.#immutable(record);
  }

  /** A record that is found again learns what this caller knows of it. */
  #refresh(
    record: CacheRecord,
    { urls = [] }: Descriptor,
    options: CreateOptions & { provider?: LazyBlobProvider },
  ): void {
    const { provider, imageRefs = [] } = options;
    if (provider !== undefined) record.provider = provider;
    const { data } = record;
    const refs = [...new Set([...data.imageRefs, ...imageRefs])].slice(-16);
    const origin = provider?.origin ?? data.origin;
    // A cache brought the layer before the image that says where else it is.
    const blob =
      urls.length > 0 && data.blob !== undefined && (data.blob.urls ?? []).length === 0 ? data.blob : undefined;
    if (origin === data.origin && refs.length === data.imageRefs.length && blob === undefined) return;
    this.#core.store.update(record, {
      imageRefs: refs,
      ...(origin === undefined ? {} : { origin }),
      ...(blob === undefined ? {} : { blob: { ...blob, urls } }),
    });
  }

  // oxlint-disable-next-line require-await -- failures are rejections
  async merge(parents: readonly ImmutableRef[], options: CreateOptions = {}): Promise<ImmutableRef | undefined> {
    return this.#merge(
      parents.map((ref) => this.#recordOf(ref)),
      options,
    );
  }

  /** Merges of merges are made of what those are made of. */
  #merge(parents: readonly CacheRecord[], options: CreateOptions): ImmutableRef | undefined {
    const core = this.#core;
    const flat = parents.flatMap((record) =>
      record.data.shape.kind === 'merge' ? core.store.parentsOf(record) : [record],
    );
    const [first] = flat;
    if (first === undefined) return undefined;
    if (flat.length === 1) return this.#immutable(first);
    const data = core.newRecord({ kind: 'merge', parents: flat.map((record) => record.id) }, false, options);
    for (const record of flat) core.finalize(record);
    return this.#immutable(core.insert(data));
  }

  // oxlint-disable-next-line require-await -- failures are rejections
  async diff(
    lower: ImmutableRef | undefined,
    upper: ImmutableRef | undefined,
    options: CreateOptions = {},
  ): Promise<ImmutableRef | undefined> {
    const core = this.#core;
    if (lower === undefined) return upper?.fork();
    if (lower.id === upper?.id) return undefined;
    const below = this.#recordOf(lower);
    if (upper === undefined) return this.#diff(below, undefined, options);
    const above = this.#recordOf(upper);
    const lowerChain = core.store.layerChain(below);
    const upperChain = core.store.layerChain(above);
    const grown = upperChain.length - lowerChain.length;
    if (grown <= 1 || !lowerChain.every((record, i) => record === upperChain[i])) {
      return this.#diff(below, above, options);
    }
    // The layers in between one by one: they are blobs already, or become what others share.
    const steps: ImmutableRef[] = [];
    try {
      for (const layer of upperChain.slice(lowerChain.length)) {
        const { shape } = layer.data;
        const parent = shape.kind === 'layer' ? core.store.get(shape.parent) : undefined;
        steps.push(
          parent === undefined
            ? this.#immutable(layer)
            : this.#diff(parent, layer, {
                description: `diff ${JSON.stringify(parent.id)} -> ${JSON.stringify(layer.id)}`,
              }),
        );
      }
      return this.#merge(
        steps.map((ref) => this.#recordOf(ref)),
        options,
      );
    } finally {
      for (const step of steps) await step.release();
    }
  }

  #diff(lower: CacheRecord, upper: CacheRecord | undefined, options: CreateOptions): ImmutableRef {
    const core = this.#core;
    const shape: Shape = { kind: 'diff', lower: lower.id, ...(upper === undefined ? {} : { upper: upper.id }) };
    const data = core.newRecord(shape, false, options);
    core.finalize(lower);
    if (upper !== undefined) core.finalize(upper);
    return this.#immutable(core.insert(data));
  }

  // oxlint-disable-next-line require-await -- the contract waits
  async search(index: string): Promise<readonly RecordMetadata[]> {
    return this.#core.store.search(index).map((record) => new StoredMetadata(this.#core, record.id));
  }

  async diskUsage(options: { filter?: readonly string[]; ageLimitNs?: bigint }): Promise<readonly DiskUsageRecord[]> {
    return await diskUsage(this.#core, this.#sizes, options);
  }

  async prune(options: readonly PruneOptions[], onRecord: (record: DiskUsageRecord) => void): Promise<void> {
    try {
      await this.#pruner.prune(options, onRecord);
    } finally {
      await this.#core.drained();
    }
    await this.#core.blobs.collect();
  }

  held(): string[] {
    return [...this.#core.held().map((hold) => `ref ${hold}`), ...this.mounts.list().map((mount) => `mount ${mount}`)];
  }

  protectBlobs(owner: () => Iterable<Digest>): () => void {
    return this.#core.blobs.protect(owner);
  }

  collectBlobs(): Promise<void> {
    return this.#core.blobs.collect();
  }

  treeKeyOf(ref: ImmutableRef): string {
    return ref instanceof StoredImmutableRef ? ref.treeKey : ref.id;
  }

  writable(): readonly number[] {
    return this.#core.writable();
  }

  drained(): Promise<void> {
    return this.#core.drained();
  }
}

/**
 * The same bytes in images of two systems are two layers, one of which will turn out to be wrong: that must not be the fault of
 * the other image. What comes without an image, from a cache, takes what there is; it is taken for Linux.
 */
function mayBeOf(known: ImageSystem | undefined, wanted: ImageSystem | undefined): boolean {
  return wanted === undefined || (known === 'windows') === (wanted === 'windows');
}

/**
 * Opens the records of a predecessor, however it ended: `isSafe` says whether a snapshot's files can be relied on. What is
 * incomplete goes, with its files.
 */
export async function openCache(options: CacheOptions, isSafe: (snapshot: number) => boolean): Promise<Cache> {
  const core = new CacheCore(options);
  loadRecords(core, isSafe);
  const cache = new SnapshotCache(core);
  await cache.mounts.removeLeftovers();
  core.discardOrphans();
  return cache;
}
