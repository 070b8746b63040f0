import { join } from 'node:path';
import type { LayerDirs } from '../tree/index.ts';
import type { Mount } from '../types.ts';
import type { SnapshotFolders } from './folders.ts';
import type { SnapshotTable } from './snapshot-table.ts';
import type { SnapshotId, SnapshotInfo, Snapshotter, SnapshotUsage } from './types.ts';

/** What snapshotters that keep a folder `<id>/fs` for each snapshot have in common: the records, and the folders' ends. */
export abstract class FolderSnapshotter implements Snapshotter {
  abstract readonly name: string;
  abstract readonly style: 'overlay' | 'plain';
  abstract readonly userxattr: boolean;
  protected readonly folders: SnapshotFolders;
  protected readonly table: SnapshotTable;

  constructor(folders: SnapshotFolders, table: SnapshotTable) {
    this.folders = folders;
    this.table = table;
  }

  abstract prepare(parent: SnapshotId | undefined, signal?: AbortSignal): Promise<SnapshotId>;
  abstract layers(id: SnapshotId): LayerDirs;
  abstract mounts(id: SnapshotId, options: { readonly: boolean }): readonly Mount[];

  protected fs(id: SnapshotId): string {
    return join(this.folders.path(id), 'fs');
  }

  commit(id: SnapshotId): void {
    this.table.commit(id);
  }

  touch(id: SnapshotId): void {
    this.table.touch(id);
  }

  chain(id: SnapshotId): readonly SnapshotId[] {
    return this.table.chain(id);
  }

  origins(id: SnapshotId): ReadonlySet<SnapshotId> {
    return this.table.origins(id);
  }

  addOrigins(id: SnapshotId, origins: Iterable<SnapshotId>): void {
    this.table.addOrigins(id, origins);
  }

  async usage(id: SnapshotId, signal?: AbortSignal): Promise<SnapshotUsage> {
    this.table.get(id);
    return await this.folders.usage([this.fs(id)], signal);
  }

  hasChildren(id: SnapshotId): boolean {
    return this.table.hasChildren(id);
  }

  find(id: SnapshotId): SnapshotInfo | undefined {
    return this.table.find(id);
  }

  list(): readonly SnapshotInfo[] {
    return this.table.list();
  }

  // oxlint-disable-next-line require-await -- the interface waits for snapshotters that are remote
  async remove(id: SnapshotId): Promise<void> {
    this.table.remove(id);
    this.folders.remove(id);
  }

  drained(): Promise<void> {
    return this.folders.drained();
  }

  close(): Promise<void> {
    return this.folders.close();
  }
}
