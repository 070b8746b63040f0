import { BuildError, Code, invalidArgument, logger, nowNs, randomId, toBuildError } from '../../base/index.ts';
import type { SnapshotId } from '../snapshots/index.ts';
import type { CreateOptions } from '../types.ts';
import { Holds } from './holds.ts';
import type { Hold } from './holds.ts';
import { BlobGc } from './blob-gc.ts';
import type { CacheOptions } from './options.ts';
import { parentIds } from './record.ts';
import type { CacheRecord, RecordData, Shape } from './record.ts';
import { RecordStore } from './record-store.ts';

/** A chain of more layers than this is refused: merges of merges grow by multiplication. */
const MAX_LAYERS = 4096;

/**
 * The life of records: made, committed, finalised, held, removed. Everything that changes a record is synchronous, so
 * that nothing can come between a look and a change; only files are waited for, and those before they are recorded.
 */
export class CacheCore {
  readonly options: CacheOptions;
  readonly store: RecordStore;
  readonly blobs: BlobGc;
  readonly #holds: Holds;
  readonly #removals = new Set<Promise<void>>();

  constructor(options: CacheOptions) {
    this.options = options;
    this.store = new RecordStore(options.db, options.snapshotter.name);
    this.blobs = new BlobGc(options.content, this.store);
    this.#holds = new Holds((record, touched) => this.#onLastUser(record, touched));
  }

  hold(record: CacheRecord, options: { what?: string; touch?: boolean } = {}): Hold {
    return this.#holds.acquire(record, { what: options.what ?? 'ref', touch: options.touch ?? true });
  }

  held(): string[] {
    return this.#holds.list();
  }

  /** A record of that shape; its parents' refs stay the caller's. */
  newRecord(shape: Shape, mutable: boolean, options: CreateOptions, more: Partial<RecordData> = {}): RecordData {
    const id = randomId();
    return {
      id,
      createdAt: nowNs(),
      description: options.description ?? '',
      recordType: options.recordType ?? 'regular',
      retain: options.retain ?? false,
      usageCount: 0,
      shape,
      mutable,
      treeKey: id,
      imageRefs: options.imageRefs ?? [],
      variants: [],
      layerCount: this.#countLayers(shape),
      notes: {},
      // What has a parent is of the parent's system, whatever was asked for.
      ...(options.system === undefined || shape.kind !== 'base' ? {} : { system: options.system }),
      ...more,
    };
  }

  #countLayers(shape: Shape): number {
    const own = shape.kind === 'merge' ? 0 : 1;
    const below = shape.kind === 'diff' ? [] : parentIds(shape);
    const count = below.reduce((sum, id) => sum + this.store.get(id).data.layerCount, own);
    if (count > MAX_LAYERS) throw invalidArgument(`result has ${count} layers, more than ${MAX_LAYERS}`);
    return count;
  }

  insert(data: RecordData): CacheRecord {
    this.store.change({ put: [data] });
    return this.store.get(data.id);
  }

  /** The mutable record of an ended ref gets an immutable twin on the same snapshot: nothing moves. */
  commit(mutable: CacheRecord): CacheRecord {
    const { data } = mutable;
    return this.insert(
      this.newRecord(
        data.shape,
        false,
        { description: data.description },
        {
          twin: data.id,
          treeKey: data.treeKey,
          imageRefs: data.imageRefs,
          ...(data.system === undefined ? {} : { system: data.system }),
          ...(data.snapshot === undefined ? {} : { snapshot: data.snapshot }),
        },
      ),
    );
  }

  /** The immutable twin gives way: the mutable record can be written to again. */
  reopen(mutable: CacheRecord): void {
    const { twin } = mutable;
    if (twin === undefined) return;
    if (twin.refs > 0) throw locked(mutable.id);
    this.store.change({ remove: [twin.id], put: [withoutSize(mutable.data)] });
  }

  /** After it the record may have children and blobs, and is never written to again. */
  finalize(record: CacheRecord): void {
    const { twin } = record;
    if (record.data.mutable || twin === undefined) return;
    const { snapshot } = record.data;
    const { twin: _twin, ...rest } = record.data;
    this.options.db.transaction(() => {
      if (snapshot !== undefined) this.options.snapshotter.commit(snapshot);
      this.store.change({ remove: [twin.id], put: [rest] });
    });
  }

  /** Snapshots can be made only on finalised parents. */
  finalizeParents(record: CacheRecord): void {
    const waiting = this.store.parentsOf(record);
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      this.finalize(at);
      // What has a snapshot was made on finalised parents.
      if (at.data.snapshot === undefined) waiting.push(...this.store.parentsOf(at));
    }
  }

  #onLastUser(record: CacheRecord, touched: boolean): void {
    try {
      if (this.store.find(record.id) !== record) return;
      const mutable = record.data.mutable ? record : record.twin;
      const kept = record.data.retain || mutable?.data.retain === true;
      // A finalised record stays for whoever finds it in the cache; one that was never finalised or retained is rubbish.
      if (mutable !== undefined && !kept && record.refs === 0 && (record.twin?.refs ?? 0) === 0) {
        this.#removeWithRoom(record);
      } else if (touched) {
        this.markUsed(record);
      }
    } catch (error) {
      // The record stays: prune or the next start removes it.
      logger.warn('released record could not be saved', { id: record.id, error });
    }
  }

  /** A step that filled the disk goes, though its going must be saved on that disk. */
  #removeWithRoom(record: CacheRecord): void {
    try {
      this.remove([record]);
    } catch (error) {
      if (!this.#madeRoom(error)) throw error;
      this.remove([record]);
    }
  }

  /** Whether what failed for want of room may be tried again. */
  #madeRoom(error: unknown): boolean {
    const { makeRoom } = this.options;
    if (makeRoom === undefined || toBuildError(error).code !== Code.ResourceExhausted) return false;
    makeRoom();
    return true;
  }

  /** What nobody uses and nobody wants to keep any more goes at once. */
  setRetain(record: CacheRecord, retain: boolean): void {
    this.store.update(record, { retain });
    if (!retain && record.users === 0) this.#onLastUser(record, false);
  }

  /** Snapshots that somebody may be writing to. */
  writable(): SnapshotId[] {
    const open = [...this.store.all()].filter((record) => record.data.mutable && record.users > 0);
    return open.map((record) => record.data.snapshot).filter((snapshot) => snapshot !== undefined);
  }

  markUsed(record: CacheRecord): void {
    const patch = (data: RecordData): RecordData => ({
      ...data,
      lastUsedAt: nowNs(),
      usageCount: data.usageCount + 1,
    });
    const both = record.twin === undefined ? [record] : [record, record.twin];
    for (const r of both) this.store.changeSoon(patch(r.data));
  }

  /** Removes records that nobody holds, their twins, and then the files that no other record has. */
  remove(records: readonly CacheRecord[]): void {
    const all = new Set<CacheRecord>();
    for (const record of records) {
      all.add(record);
      if (record.twin !== undefined) all.add(record.twin);
    }
    for (const record of all) {
      if (record.users > 0) throw new BuildError(Code.FailedPrecondition, `${record.id} is in use`);
    }
    const data = [...all].map((record) => record.data);
    this.store.change({ remove: [...all].map((record) => record.id) });
    for (const key of new Set(data.map((d) => d.treeKey))) this.options.onTreeGone?.(key);
    const snapshots = new Set(data.map((d) => d.snapshot).filter((s) => s !== undefined));
    for (const snapshot of snapshots) this.discardSnapshot(snapshot);
    const blobs = data.flatMap((d) => [d.blob, ...d.variants]).filter((blob) => blob !== undefined);
    if (blobs.length > 0) this.blobs.release(blobs.map((blob) => blob.digest));
  }

  /** Removes a snapshot that neither a record nor another snapshot needs, and the parents that were there for it only. */
  discardSnapshot(snapshot: SnapshotId): void {
    const { snapshotter } = this.options;
    const remove = async (first: SnapshotId): Promise<void> => {
      for (let at: SnapshotId | undefined = first; at !== undefined;) {
        const info = snapshotter.find(at);
        if (info === undefined || this.store.usesSnapshot(at) || snapshotter.hasChildren(at)) return;
        await snapshotter.remove(at);
        at = info.parent;
      }
    };
    const removal = remove(snapshot)
      .catch((error: unknown) => {
        if (!this.#madeRoom(error)) throw error;
        return remove(snapshot);
      })
      .catch((error: unknown) => logger.warn('snapshot could not be removed', { snapshot, error }))
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  /** After start-up: snapshots whose record was never written, or is gone. */
  discardOrphans(): number {
    const orphans = this.options.snapshotter
      .list()
      .map((info) => info.id)
      .filter((id) => !this.store.usesSnapshot(id))
      .sort((a, b) => b - a); // children have higher numbers than their parents
    for (const id of orphans) this.discardSnapshot(id);
    return orphans.length;
  }

  /** Waits for the files of removed records; what was used is saved. */
  async drained(): Promise<void> {
    this.store.flush();
    await Promise.all(this.#removals);
    await this.blobs.drained();
    await this.options.snapshotter.drained();
  }
}

function withoutSize(data: RecordData): RecordData {
  const { size: _size, ...rest } = data;
  return rest;
}

/** Upstream's text (cache/manager.go ErrLocked). */
export function locked(id: string): BuildError {
  return new BuildError(Code.FailedPrecondition, `${id} is locked: locked`);
}
