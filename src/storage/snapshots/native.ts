import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { applyMerge } from '../merge/index.ts';
import type { LayerDirs } from '../tree/index.ts';
import type { Mount } from '../types.ts';
import type { SnapshotFolders } from './folders.ts';
import type { SnapshotTable } from './snapshot-table.ts';
import type { SnapshotId, SnapshotInfo, Snapshotter, SnapshotUsage } from './types.ts';

/** Each snapshot is a whole tree: a copy of its parent's. Works on every file system; copies share blocks where it can. */
export class NativeSnapshotter implements Snapshotter {
  readonly name = 'native';
  readonly style = 'plain';
  readonly userxattr = false;
  readonly #folders: SnapshotFolders;
  readonly #table: SnapshotTable;

  constructor(folders: SnapshotFolders, table: SnapshotTable) {
    this.#folders = folders;
    this.#table = table;
  }

  #fs(id: SnapshotId): string {
    return join(this.#folders.path(id), 'fs');
  }

  async prepare(parent: SnapshotId | undefined, signal?: AbortSignal): Promise<SnapshotId> {
    this.#table.requireParent(parent);
    const id = this.#table.allocate();
    try {
      mkdirSync(this.#folders.path(id), { recursive: true, mode: 0o700 });
      mkdirSync(this.#fs(id), { mode: 0o755 });
      if (parent !== undefined) {
        await applyMerge(
          {
            diffs: [{ lower: [], upper: [this.#fs(parent)], link: false }],
            target: this.#fs(id),
            style: 'plain',
            lower: [],
          },
          signal === undefined ? {} : { signal },
        );
      }
      this.#table.add(id, parent);
    } catch (error) {
      this.#folders.remove(id);
      throw error;
    }
    return id;
  }

  commit(id: SnapshotId): void {
    this.#table.commit(id);
  }

  touch(id: SnapshotId): void {
    this.#table.touch(id);
  }

  chain(id: SnapshotId): readonly SnapshotId[] {
    return this.#table.chain(id);
  }

  origins(id: SnapshotId): ReadonlySet<SnapshotId> {
    return this.#table.origins(id);
  }

  addOrigins(id: SnapshotId, origins: Iterable<SnapshotId>): void {
    this.#table.addOrigins(id, origins);
  }

  layers(id: SnapshotId): LayerDirs {
    this.#table.get(id);
    return [this.#fs(id)];
  }

  mounts(id: SnapshotId, options: { readonly: boolean }): readonly Mount[] {
    const readonly = options.readonly || this.#table.get(id).committed;
    return [{ type: 'bind', source: this.#fs(id), options: [readonly ? 'ro' : 'rw', 'rbind'] }];
  }

  async usage(id: SnapshotId, signal?: AbortSignal): Promise<SnapshotUsage> {
    this.#table.get(id);
    return await this.#folders.usage([this.#fs(id)], signal);
  }

  hasChildren(id: SnapshotId): boolean {
    return this.#table.hasChildren(id);
  }

  find(id: SnapshotId): SnapshotInfo | undefined {
    return this.#table.find(id);
  }

  list(): readonly SnapshotInfo[] {
    return this.#table.list();
  }

  // oxlint-disable-next-line require-await -- the interface waits for snapshotters that are remote
  async remove(id: SnapshotId): Promise<void> {
    this.#table.remove(id);
    this.#folders.remove(id);
  }

  drained(): Promise<void> {
    return this.#folders.drained();
  }

  close(): Promise<void> {
    return this.#folders.close();
  }
}
