import { logger, notFound } from '../../base/index.ts';
import type { Database } from '../../metadata/index.ts';
import type { SnapshotId } from '../snapshots/index.ts';
import type { ImageSystem } from '../types.ts';
import { CacheRecord, decodeRecord, encodeRecord, indexesOf, parentIds } from './record.ts';
import type { RecordData } from './record.ts';

const TABLES = [
  `CREATE TABLE cache_record (
     snapshotter TEXT NOT NULL,
     id TEXT NOT NULL,
     data TEXT NOT NULL,
     PRIMARY KEY (snapshotter, id)
   ) WITHOUT ROWID`,
];

const LATE_MS = 1000;

export interface RecordChange {
  readonly put?: readonly RecordData[];
  readonly remove?: readonly string[];
}

/**
 * All records, in memory and in the database. A change is one transaction, and memory follows it: when the disk is full
 * both stay as they were. Counts that follow from the records (children, users of a snapshot, indexes) are kept here.
 */
export class RecordStore {
  readonly #db: Database;
  readonly #snapshotter: string;
  readonly #records = new Map<string, CacheRecord>();
  readonly #index = new Map<string, Set<CacheRecord>>();
  readonly #snapshots = new Map<SnapshotId, number>();
  /** Records whose newest data is in memory only. */
  readonly #late = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  /** Records belong to the snapshotter that has their files: each has its own. */
  constructor(db: Database, snapshotter: string) {
    this.#db = db;
    this.#snapshotter = snapshotter;
    db.register('cache-records', TABLES);
  }

  /**
   * Reads the records of the predecessor. `isWhole` says whether what a record names is still there; those that are not
   * go with everything that is made from them. `isLeftover` are those that nobody can ask for any more.
   */
  load(
    isWhole: (data: RecordData) => boolean,
    isLeftover: (data: RecordData, all: ReadonlyMap<string, RecordData>) => boolean,
  ): void {
    const all = new Map<string, RecordData>();
    const lost = new Set<string>();
    for (const row of this.#db.all<{ id: string; data: string }>(
      'SELECT id, data FROM cache_record WHERE snapshotter = ?',
      this.#snapshotter,
    )) {
      try {
        all.set(row.id, decodeRecord(row.data));
      } catch (error) {
        logger.warn('cache record is damaged and was dropped', { id: row.id, error });
        lost.add(row.id);
      }
    }
    const damaged = [...all.values()].filter((data) => !isWhole(data)).map((data) => data.id);
    for (const id of damaged) lost.add(id);
    // A record without one of its parents, or an immutable one whose twin went, goes too: until nothing changes.
    for (let changed = true; changed;) {
      changed = false;
      for (const data of all.values()) {
        if (lost.has(data.id)) continue;
        const needs = [...parentIds(data.shape), ...(data.twin === undefined ? [] : [data.twin])];
        if (needs.some((id) => lost.has(id) || !all.has(id))) {
          lost.add(data.id);
          changed = true;
        }
      }
    }
    for (const id of lost) all.delete(id);
    if (damaged.length > 0) logger.warn('cache records without their files were dropped', { count: lost.size });
    for (let changed = true; changed;) {
      changed = false;
      const parents = new Set([...all.values()].flatMap((data) => parentIds(data.shape)));
      for (const data of all.values()) {
        if (parents.has(data.id) || !isLeftover(data, all)) continue;
        lost.add(data.id);
        all.delete(data.id);
        changed = true;
      }
    }
    this.#db.transaction(() => {
      for (const id of lost) this.#delete(id);
    });
    for (const data of all.values()) this.#records.set(data.id, new CacheRecord(data));
    for (const record of this.#records.values()) this.#link(record);
  }

  #delete(id: string): void {
    this.#db.run('DELETE FROM cache_record WHERE snapshotter = ? AND id = ?', this.#snapshotter, id);
  }

  #put(data: RecordData): void {
    this.#db.run(
      'INSERT OR REPLACE INTO cache_record (snapshotter, id, data) VALUES (?, ?, ?)',
      this.#snapshotter,
      data.id,
      encodeRecord(data),
    );
  }

  change(change: RecordChange): void {
    this.#db.transaction(() => {
      this.#writeLate();
      for (const id of change.remove ?? []) this.#delete(id);
      for (const data of change.put ?? []) this.#put(data);
    });
    this.#late.clear();
    this.#apply(change);
  }

  /**
   * Changed in memory now, in the database with the next change or a second later: for what a killed daemon may forget. A
   * build that finds everything in the cache would otherwise be a transaction for every step.
   */
  changeSoon(data: RecordData): void {
    this.#apply({ put: [data] });
    this.#late.add(data.id);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      try {
        this.flush();
      } catch (error) {
        logger.warn('use of cache records could not be saved', { error });
      }
    }, LATE_MS).unref();
  }

  /** Writes what {@link changeSoon} has left. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#late.size > 0) this.change({});
  }

  #writeLate(): void {
    for (const id of this.#late) {
      const record = this.#records.get(id);
      if (record !== undefined) this.#put(record.data);
    }
  }

  #apply(change: RecordChange): void {
    for (const id of change.remove ?? []) {
      const record = this.get(id);
      this.#unlink(record);
      this.#records.delete(id);
    }
    for (const data of change.put ?? []) {
      const known = this.#records.get(data.id);
      if (known === undefined) {
        const record = new CacheRecord(data);
        this.#records.set(data.id, record);
        this.#link(record);
      } else {
        this.#unlink(known);
        known.data = data;
        this.#link(known);
      }
    }
  }

  update(record: CacheRecord, patch: Partial<RecordData>): void {
    this.change({ put: [{ ...record.data, ...patch }] });
  }

  #link(record: CacheRecord): void {
    for (const id of parentIds(record.data.shape)) this.get(id).children++;
    for (const index of indexesOf(record.data)) {
      let set = this.#index.get(index);
      if (set === undefined) this.#index.set(index, (set = new Set()));
      set.add(record);
    }
    const { snapshot, twin } = record.data;
    if (snapshot !== undefined) this.#snapshots.set(snapshot, (this.#snapshots.get(snapshot) ?? 0) + 1);
    if (twin !== undefined) {
      const other = this.get(twin);
      record.twin = other;
      other.twin = record;
    }
  }

  #unlink(record: CacheRecord): void {
    for (const id of parentIds(record.data.shape)) {
      const parent = this.#records.get(id);
      if (parent !== undefined) parent.children--;
    }
    for (const index of indexesOf(record.data)) {
      const set = this.#index.get(index);
      set?.delete(record);
      if (set?.size === 0) this.#index.delete(index);
    }
    const { snapshot, twin } = record.data;
    if (snapshot !== undefined) {
      const left = (this.#snapshots.get(snapshot) ?? 1) - 1;
      if (left === 0) this.#snapshots.delete(snapshot);
      else this.#snapshots.set(snapshot, left);
    }
    if (twin !== undefined && record.twin !== undefined) {
      record.twin.twin = undefined;
      record.twin = undefined;
    }
  }

  find(id: string): CacheRecord | undefined {
    return this.#records.get(id);
  }

  get(id: string): CacheRecord {
    const record = this.#records.get(id);
    if (record === undefined) throw notFound(`${id}: not found`);
    return record;
  }

  all(): IterableIterator<CacheRecord> {
    return this.#records.values();
  }

  search(index: string): readonly CacheRecord[] {
    return [...(this.#index.get(index) ?? [])];
  }

  usesSnapshot(id: SnapshotId): boolean {
    return this.#snapshots.has(id);
  }

  parentsOf(record: CacheRecord): CacheRecord[] {
    return parentIds(record.data.shape).map((id) => this.get(id));
  }

  /** Whose layers a record's are: what says nothing of itself is as what it is made of. */
  systemOf(record: CacheRecord): ImageSystem | undefined {
    for (let at = record; ;) {
      const { system, shape } = at.data;
      if (system !== undefined || shape.kind === 'base') return system;
      if (shape.kind === 'merge') {
        const systems = shape.parents.map((id) => this.systemOf(this.get(id)));
        return systems.find((s) => s === 'windows') ?? systems.find((s) => s !== undefined);
      }
      const next = shape.kind === 'layer' ? shape.parent : (shape.upper ?? shape.lower);
      if (next === undefined) return undefined;
      at = this.get(next);
    }
  }

  /** The records of the layers, from the base to the top: merges are what they are merged from, diffs are one layer. */
  layerChain(record: CacheRecord): CacheRecord[] {
    const { shape } = record.data;
    switch (shape.kind) {
      case 'base':
      case 'diff':
        return [record];
      case 'layer': {
        // A loop: chains may be long.
        const own: CacheRecord[] = [];
        let at = record;
        while (at.data.shape.kind === 'layer') {
          own.push(at);
          at = this.get(at.data.shape.parent);
        }
        return [...this.layerChain(at), ...own.reverse()];
      }
      case 'merge':
        return shape.parents.flatMap((id) => this.layerChain(this.get(id)));
    }
  }
}
