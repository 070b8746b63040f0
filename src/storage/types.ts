/**
 * Snapshots and their references. A record is one snapshot, or one blob that has none yet, with its metadata; a ref is
 * an owner of a record. Every ref is released exactly once; `fork` makes another owner.
 */
import type { StepProgress } from '../base/index.ts';
import type { BlobReader, ContentProvider } from '../content/types.ts';
import type { Compression, Descriptor, Digest } from '../oci/types.ts';
import type { ContentChange } from '../solver/types.ts';

/** One mount(2) as containerd writes it: type `overlay` or `bind`, options like `lowerdir=…`, `ro`, `rbind`. */
export interface Mount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** Whose layers an image has: those of Windows follow rules of their own (archive/windows). */
export type ImageSystem = 'linux' | 'windows';

/** Mounts that are valid until `release`. Empty for nothing. */
export interface MountSet {
  readonly mounts: readonly Mount[];
  release(): Promise<void>;
}

export interface Mountable {
  mounts(options: { readonly: boolean }): Promise<MountSet>;
}

export type RecordType =
  | 'regular'
  | 'internal'
  | 'frontend'
  | 'source.local'
  | 'source.git.checkout'
  | 'exec.cachemount';

/** Where a blob that is not in the content store comes from. `origin` is kept with the record, so that the daemon can make the provider again after a restart. */
export interface LazyBlobProvider extends ContentProvider {
  /** JSON, understood by the daemon's `reopen` hook only. */
  readonly origin: string;
  /** `sessions` are those of whoever reads now: whoever made the record may have left long ago. */
  reader(
    descriptor: Parameters<ContentProvider['reader']>[0],
    signal?: AbortSignal,
    sessions?: StorageContext['sessions'],
  ): Promise<BlobReader>;
}

/** What waits: cancellation, where progress goes, whose sessions may be asked for credentials. */
export interface StorageContext {
  readonly signal?: AbortSignal;
  readonly progress?: StepProgress;
  readonly sessions?: () => readonly string[];
}

/** A record's own notes; `set` with undefined removes. A changed note is durable when the promise resolves. */
export interface RecordMetadata {
  readonly id: string;
  readonly createdAt: bigint;
  readonly recordType: RecordType;
  readonly description: string;
  get(key: string): string | undefined;
  /** `index` makes the record findable by {@link CacheAccessor.search}. */
  set(key: string, value: string | undefined, index?: string): Promise<void>;
  setDescription(text: string): Promise<void>;
  setRecordType(type: RecordType): Promise<void>;
  /** true: the record stays when its last ref goes (upstream's CachePolicyRetain). */
  setRetain(retain: boolean): Promise<void>;
}

/** A chain of layers that can travel: descriptors from base to top and where their bytes are. */
export interface Remote {
  readonly descriptors: readonly Descriptor[];
  readonly provider: ContentProvider;
}

export interface Ref extends Mountable {
  readonly id: string;
  /** undefined: not known yet, because its layers came without their image and were not looked into. */
  readonly system: ImageSystem | undefined;
  readonly metadata: RecordMetadata;
  /** Bytes on disk, as `du` shows it. */
  size(): Promise<number>;
  release(): Promise<void>;
}

export interface ImmutableRef extends Ref {
  fork(): ImmutableRef;
  /** The refs of the layers from base to this one, forked: the caller releases each. */
  layerChain(): ImmutableRef[];
  /** Downloads and unpacks whatever is still lazy. Idempotent, shared between callers. */
  unlazy(context: StorageContext): Promise<void>;
  readonly isLazy: boolean;
  /**
   * The layers as blobs of that compression. `create` computes missing blobs (finalises the snapshot first); without it
   * undefined is returned where any layer has none. Existing blobs of other compressions serve unless `compression.force`.
   */
  remote(compression: Compression, options: RemoteOptions, context: StorageContext): Promise<Remote | undefined>;
  /** All variants that exist now, without making any: for cache exports. */
  remotes(compression: Compression, context: StorageContext): Promise<readonly Remote[]>;
}

export interface RemoteOptions {
  readonly create: boolean;
  /** Layers that may not be pushed stay so, with the places they come from; else they become ordinary ones. */
  readonly keepForeign?: boolean;
}

export interface MutableRef extends Ref {
  /** Ends the ref; an immutable one of the same content takes over. Nothing is copied or moved; `finalize` is lazy. */
  commit(): Promise<ImmutableRef>;
}

export interface CreateOptions {
  readonly description?: string;
  readonly recordType?: RecordType;
  readonly retain?: boolean;
  /** Image references that this record came from. */
  readonly imageRefs?: readonly string[];
  /** Whose layer it is; what has a parent is of the parent's. */
  readonly system?: ImageSystem;
}

export interface DiskUsageRecord {
  readonly id: string;
  readonly mutable: boolean;
  readonly inUse: boolean;
  readonly size: number;
  readonly parents: readonly string[];
  readonly createdAt: bigint;
  readonly lastUsedAt?: bigint;
  readonly usageCount: number;
  readonly description: string;
  readonly recordType: RecordType;
  readonly shared: boolean;
}

export interface PruneOptions {
  readonly filter?: readonly string[];
  readonly all?: boolean;
  readonly keepDurationNs?: bigint;
  readonly reservedSpace?: number;
  readonly maxUsedSpace?: number;
  readonly minFreeSpace?: number;
}

/** Where the files of a copy are, and where they go, past the mounts. */
export interface CopyDirs {
  /** The source's directories, topmost first. */
  readonly layers: readonly string[];
  /** The directory that has what was written to the target: nothing may be changed in it while the target is mounted. */
  readonly target: string;
}

export interface CacheAccessor {
  readonly snapshotter: string;
  /** Where a copy can read and write past the mounts, which an overlay would make slower. Both refs are the caller's. */
  copyDirs(source: ImmutableRef, target: MutableRef): Promise<CopyDirs>;
  create(parent: ImmutableRef | undefined, options?: CreateOptions): Promise<MutableRef>;
  /** Throws NotFound. An id of a committed mutable gives the immutable twin. */
  get(id: string): Promise<ImmutableRef>;
  /** Throws FailedPrecondition `locked` while anyone else holds it. */
  getMutable(id: string): Promise<MutableRef>;
  /** The layer `descriptor` (with annotation containerd.io/uncompressed = diff id) on `parent`: reuses a record of the same chain. The bytes may be absent. */
  fromBlob(
    descriptor: Descriptor,
    parent: ImmutableRef | undefined,
    options: CreateOptions & { provider?: LazyBlobProvider },
  ): Promise<ImmutableRef>;
  /** undefined when there is nothing to merge (upstream: nil ref). Inputs stay the caller's. */
  merge(parents: readonly ImmutableRef[], options?: CreateOptions): Promise<ImmutableRef | undefined>;
  diff(
    lower: ImmutableRef | undefined,
    upper: ImmutableRef | undefined,
    options?: CreateOptions,
  ): Promise<ImmutableRef | undefined>;
  /** Metadata of records that carry that index; they are not held. */
  search(index: string): Promise<readonly RecordMetadata[]>;
  diskUsage(options: { filter?: readonly string[]; ageLimitNs?: bigint }): Promise<readonly DiskUsageRecord[]>;
  /** `onRecord` is called for each record that went. */
  prune(options: readonly PruneOptions[], onRecord: (record: DiskUsageRecord) => void): Promise<void>;
}

/** What is used of an input: a path with what in and below it counts. */
export interface ContentSelector {
  readonly path: string;
  readonly wildcard?: boolean;
  readonly followLinks?: boolean;
  readonly includePatterns?: readonly string[];
  readonly excludePatterns?: readonly string[];
  readonly requiredPaths?: readonly string[];
}

/** Digests of file trees as upstream's cache/contenthash computes them (tar-sum headers + data). */
export interface ContentHasher {
  /** One path of a ref; undefined ref is scratch. NotFound where the path is not there. */
  checksum(
    ref: ImmutableRef | undefined,
    path: string,
    selector: Omit<ContentSelector, 'path'>,
    context: StorageContext,
  ): Promise<Digest>;
  /**
   * How what the selectors select differs from what was selected the last time for the same `step`: a text that stays the
   * same from build to build. undefined: not known. After checksum of the same selectors.
   */
  compare(
    ref: ImmutableRef,
    selectors: readonly ContentSelector[],
    step: string,
    context: StorageContext,
  ): Promise<ContentChange | undefined>;
}
