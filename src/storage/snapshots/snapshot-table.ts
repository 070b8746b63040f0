import { BuildError, Code, notFound } from '../../base/index.ts';
import type { Database } from '../../metadata/index.ts';
import type { SnapshotId, SnapshotInfo } from './types.ts';

export const SNAPSHOT_TABLES = [
  `CREATE TABLE snapshot (
     snapshotter TEXT NOT NULL,
     id INTEGER NOT NULL,
     parent INTEGER,
     committed INTEGER NOT NULL,
     generation INTEGER NOT NULL,
     PRIMARY KEY (snapshotter, id)
   ) WITHOUT ROWID`,
  `CREATE TABLE snapshot_origin (
     snapshotter TEXT NOT NULL,
     id INTEGER NOT NULL,
     origin INTEGER NOT NULL,
     PRIMARY KEY (snapshotter, id, origin)
   ) WITHOUT ROWID`,
];

/** The snapshots of one snapshotter, in memory and in the database. */
export class SnapshotTable {
  readonly #db: Database;
  readonly #snapshotter: string;
  readonly #generation: () => number;
  readonly #snapshots = new Map<SnapshotId, SnapshotInfo>();
  readonly #children = new Map<SnapshotId, number>();
  readonly #origins = new Map<SnapshotId, Set<SnapshotId>>();
  #last = 0;

  constructor(db: Database, snapshotter: string, generation: () => number) {
    this.#db = db;
    this.#snapshotter = snapshotter;
    this.#generation = generation;
    db.register('snapshots', SNAPSHOT_TABLES);
    for (const row of db.all<{ id: number; parent: number | null; committed: number; generation: number }>(
      'SELECT id, parent, committed, generation FROM snapshot WHERE snapshotter = ?',
      snapshotter,
    )) {
      this.#keep({
        id: row.id,
        parent: row.parent ?? undefined,
        committed: row.committed !== 0,
        generation: row.generation,
      });
    }
    for (const row of db.all<{ id: number; origin: number }>(
      'SELECT id, origin FROM snapshot_origin WHERE snapshotter = ?',
      snapshotter,
    )) {
      this.#origins.get(row.id)?.add(row.origin);
    }
  }

  #keep(info: SnapshotInfo): void {
    this.#snapshots.set(info.id, info);
    this.#origins.set(info.id, new Set([info.id]));
    this.#last = Math.max(this.#last, info.id);
    if (info.parent !== undefined) this.#children.set(info.parent, (this.#children.get(info.parent) ?? 0) + 1);
  }

  /** A name that no folder has: `taken` are those found on the disk. */
  allocate(): SnapshotId {
    return ++this.#last;
  }

  avoid(taken: Iterable<number>): void {
    for (const id of taken) this.#last = Math.max(this.#last, id);
  }

  add(id: SnapshotId, parent: SnapshotId | undefined): void {
    const generation = this.#generation();
    this.#db.run(
      'INSERT INTO snapshot (snapshotter, id, parent, committed, generation) VALUES (?, ?, ?, 0, ?)',
      this.#snapshotter,
      id,
      parent ?? null,
      generation,
    );
    this.#keep({ id, parent, committed: false, generation });
  }

  /** A parent for a new snapshot. */
  requireParent(parent: SnapshotId | undefined): void {
    if (parent !== undefined && !this.get(parent).committed) {
      throw new BuildError(Code.FailedPrecondition, `parent snapshot ${parent} is not committed: failed precondition`);
    }
  }

  find(id: SnapshotId): SnapshotInfo | undefined {
    return this.#snapshots.get(id);
  }

  get(id: SnapshotId): SnapshotInfo {
    const info = this.#snapshots.get(id);
    if (info === undefined) throw notFound(`snapshot ${id} does not exist: not found`);
    return info;
  }

  hasChildren(id: SnapshotId): boolean {
    return (this.#children.get(id) ?? 0) > 0;
  }

  list(): readonly SnapshotInfo[] {
    return [...this.#snapshots.values()];
  }

  /** From the top to the base. */
  chain(id: SnapshotId): SnapshotId[] {
    const chain: SnapshotId[] = [];
    for (let at: SnapshotId | undefined = id; at !== undefined; at = this.get(at).parent) chain.push(at);
    return chain;
  }

  origins(id: SnapshotId): ReadonlySet<SnapshotId> {
    this.get(id);
    return this.#origins.get(id) as Set<SnapshotId>;
  }

  addOrigins(id: SnapshotId, origins: Iterable<SnapshotId>): void {
    const known = this.origins(id) as Set<SnapshotId>;
    const added = [...origins].filter((origin) => !known.has(origin));
    this.#db.transaction(() => {
      for (const origin of added) {
        this.#db.run(
          'INSERT INTO snapshot_origin (snapshotter, id, origin) VALUES (?, ?, ?)',
          this.#snapshotter,
          id,
          origin,
        );
      }
    });
    for (const origin of added) known.add(origin);
  }

  commit(id: SnapshotId): void {
    const info = this.get(id);
    if (info.committed) return;
    this.#update({ ...info, committed: true, generation: this.#generation() });
  }

  touch(id: SnapshotId): void {
    const info = this.get(id);
    const generation = this.#generation();
    if (info.generation !== generation) this.#update({ ...info, generation });
  }

  #update(info: SnapshotInfo): void {
    this.#db.run(
      'UPDATE snapshot SET committed = ?, generation = ? WHERE snapshotter = ? AND id = ?',
      info.committed ? 1 : 0,
      info.generation,
      this.#snapshotter,
      info.id,
    );
    this.#snapshots.set(info.id, info);
  }

  remove(id: SnapshotId): void {
    const info = this.get(id);
    if (this.hasChildren(id)) {
      throw new BuildError(Code.FailedPrecondition, `cannot remove snapshot ${id} with child: failed precondition`);
    }
    this.#db.transaction(() => {
      this.#db.run('DELETE FROM snapshot WHERE snapshotter = ? AND id = ?', this.#snapshotter, id);
      this.#db.run('DELETE FROM snapshot_origin WHERE snapshotter = ? AND id = ?', this.#snapshotter, id);
    });
    this.#snapshots.delete(id);
    this.#origins.delete(id);
    this.#children.delete(id);
    if (info.parent !== undefined) {
      const left = (this.#children.get(info.parent) ?? 1) - 1;
      if (left === 0) this.#children.delete(info.parent);
      else this.#children.set(info.parent, left);
    }
  }
}
