import { notFound } from '../../base/index.ts';
import type { Compression } from '../../oci/types.ts';
import type {
  ImageSystem,
  ImmutableRef,
  MountSet,
  MutableRef,
  RecordMetadata,
  RecordType,
  Remote,
  RemoteOptions,
  StorageContext,
} from '../types.ts';
import type { CacheCore } from './cache-core.ts';
import type { Hold } from './holds.ts';
import type { MountSets } from './mount-sets.ts';
import type { CacheRecord } from './record.ts';

/** What refs ask of the rest of this folder. */
export interface RefParts {
  readonly core: CacheCore;
  readonly mounts: MountSets;
  /** Makes the record's snapshot. */
  unlazy(record: CacheRecord, context: StorageContext): Promise<void>;
  remote(
    record: CacheRecord,
    compression: Compression,
    options: RemoteOptions,
    context: StorageContext,
  ): Promise<Remote | undefined>;
  remotes(record: CacheRecord, compression: Compression, context: StorageContext): Promise<readonly Remote[]>;
  size(record: CacheRecord): Promise<number>;
}

/** The notes of a record, held or not: NotFound once it is gone. */
export class StoredMetadata implements RecordMetadata {
  readonly id: string;
  readonly #core: CacheCore;

  constructor(core: CacheCore, id: string) {
    this.#core = core;
    this.id = id;
  }

  get #record(): CacheRecord {
    return this.#core.store.get(this.id);
  }

  get createdAt(): bigint {
    return this.#record.data.createdAt;
  }

  get recordType(): RecordType {
    return this.#record.data.recordType;
  }

  get description(): string {
    return this.#record.data.description;
  }

  get(key: string): string | undefined {
    const { notes } = this.#record.data;
    return Object.hasOwn(notes, key) ? notes[key]?.value : undefined;
  }

  // The database is written synchronously; failures must still be rejections.
  // oxlint-disable-next-line require-await
  async set(key: string, value: string | undefined, index?: string): Promise<void> {
    const record = this.#record;
    const notes = { ...record.data.notes };
    if (value === undefined) delete notes[key];
    else notes[key] = index === undefined ? { value } : { value, index };
    this.#core.store.update(record, { notes });
  }

  // oxlint-disable-next-line require-await
  async setDescription(description: string): Promise<void> {
    this.#core.store.update(this.#record, { description });
  }

  // oxlint-disable-next-line require-await
  async setRecordType(recordType: RecordType): Promise<void> {
    this.#core.store.update(this.#record, { recordType });
  }

  // oxlint-disable-next-line require-await
  async setRetain(retain: boolean): Promise<void> {
    this.#core.setRetain(this.#record, retain);
  }
}

abstract class StoredRef {
  protected readonly parts: RefParts;
  protected readonly hold: Hold;
  readonly id: string;
  readonly metadata: RecordMetadata;

  constructor(parts: RefParts, hold: Hold) {
    this.parts = parts;
    this.hold = hold;
    this.id = hold.record.id;
    this.metadata = new StoredMetadata(parts.core, this.id);
  }

  protected get record(): CacheRecord {
    if (this.hold.released) throw notFound(`${this.id}: ref is released`);
    return this.hold.record;
  }

  get system(): ImageSystem | undefined {
    return this.parts.core.store.systemOf(this.record);
  }

  /** The id under which digests of its files are kept: of the mutable record it was committed from, where there was one. */
  get treeKey(): string {
    return this.record.data.treeKey;
  }

  size(): Promise<number> {
    return this.parts.size(this.record);
  }

  // oxlint-disable-next-line require-await -- a double release is a rejection
  async release(): Promise<void> {
    this.hold.release();
  }
}

export class StoredImmutableRef extends StoredRef implements ImmutableRef {
  fork(): ImmutableRef {
    return new StoredImmutableRef(this.parts, this.parts.core.hold(this.record));
  }

  layerChain(): ImmutableRef[] {
    const { core } = this.parts;
    return core.store
      .layerChain(this.record)
      .map((record) => new StoredImmutableRef(this.parts, core.hold(record, { what: 'layer', touch: false })));
  }

  get isLazy(): boolean {
    return this.record.data.snapshot === undefined;
  }

  unlazy(context: StorageContext): Promise<void> {
    return this.parts.unlazy(this.record, context);
  }

  remote(compression: Compression, options: RemoteOptions, context: StorageContext): Promise<Remote | undefined> {
    return this.parts.remote(this.record, compression, options, context);
  }

  remotes(compression: Compression, context: StorageContext): Promise<readonly Remote[]> {
    return this.parts.remotes(this.record, compression, context);
  }

  /** Read-only whatever is asked: others see the same files. */
  async mounts(_options: { readonly: boolean }): Promise<MountSet> {
    const { record } = this;
    await this.parts.unlazy(record, {});
    const { snapshotter } = this.parts.core.options;
    return await this.parts.mounts.give(
      snapshotter.mounts(record.data.snapshot as number, { readonly: true }),
      this.id,
    );
  }
}

export class StoredMutableRef extends StoredRef implements MutableRef {
  async mounts(options: { readonly: boolean }): Promise<MountSet> {
    const { record } = this;
    const { snapshotter } = this.parts.core.options;
    const snapshot = record.data.snapshot as number;
    if (!options.readonly) {
      snapshotter.touch(snapshot);
      if (record.data.size !== undefined) this.parts.core.store.update(record, { size: undefined });
    }
    const mounts = snapshotter.mounts(snapshot, options);
    if (!options.readonly && record.data.recordType === 'exec.cachemount') {
      return await this.parts.mounts.giveShared(this.id, mounts, this.id);
    }
    return await this.parts.mounts.give(mounts, this.id);
  }

  // oxlint-disable-next-line require-await -- the contract waits
  async commit(): Promise<ImmutableRef> {
    const { core } = this.parts;
    const immutable = core.commit(this.record);
    const ref = new StoredImmutableRef(this.parts, core.hold(immutable));
    this.hold.release({ touch: false });
    return ref;
  }
}
