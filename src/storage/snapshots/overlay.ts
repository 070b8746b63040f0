import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { LayerDirs } from '../tree/index.ts';
import type { Mount } from '../types.ts';
import { abilityOptions } from './overlay-abilities.ts';
import type { OverlayAbilities } from './overlay-abilities.ts';
import type { SnapshotFolders } from './folders.ts';
import type { SnapshotTable } from './snapshot-table.ts';
import type { SnapshotId, SnapshotInfo, Snapshotter, SnapshotUsage } from './types.ts';

const escapeDir = (dir: string): string => dir.replace(/[\\:]/g, '\\$&');

/** Each snapshot is an overlayfs upper directory `<id>/fs` (with `<id>/work`) on those of its parents. */
export class OverlaySnapshotter implements Snapshotter {
  readonly name = 'overlayfs';
  readonly style = 'overlay';
  readonly #abilities: OverlayAbilities;
  readonly #folders: SnapshotFolders;
  readonly #table: SnapshotTable;

  constructor(folders: SnapshotFolders, table: SnapshotTable, abilities: OverlayAbilities) {
    this.#folders = folders;
    this.#table = table;
    this.#abilities = abilities;
  }

  get userxattr(): boolean {
    return this.#abilities.userxattr;
  }

  #fs(id: SnapshotId): string {
    return join(this.#folders.path(id), 'fs');
  }

  // oxlint-disable-next-line require-await -- the interface waits for snapshotters that copy
  async prepare(parent: SnapshotId | undefined): Promise<SnapshotId> {
    this.#table.requireParent(parent);
    const id = this.#table.allocate();
    const folder = this.#folders.path(id);
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      mkdirSync(join(folder, 'fs'), { mode: 0o755 });
      mkdirSync(join(folder, 'work'), { mode: 0o711 });
      chmodSync(join(folder, 'fs'), 0o755); // whatever the umask is
      if (parent !== undefined) {
        // The root of an overlay is its topmost directory: mode and owner are handed up.
        const below = lstatSync(this.#fs(parent));
        chownSync(join(folder, 'fs'), below.uid, below.gid);
        chmodSync(join(folder, 'fs'), below.mode & 0o7777);
      }
      this.#table.add(id, parent);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
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
    return this.#table.chain(id).map((at) => this.#fs(at));
  }

  mounts(id: SnapshotId, options: { readonly: boolean }): readonly Mount[] {
    const readonly = options.readonly || this.#table.get(id).committed;
    const [upper, ...lower] = this.layers(id) as [string, ...string[]];
    if (lower.length === 0) {
      return [{ type: 'bind', source: upper, options: [readonly ? 'ro' : 'rw', 'rbind'] }];
    }
    const base = ['index=off', ...abilityOptions(this.#abilities, !readonly)];
    if (readonly) {
      const dirs = [upper, ...lower].map(escapeDir).join(':');
      return [{ type: 'overlay', source: 'overlay', options: [...base, 'ro', `lowerdir=${dirs}`] }];
    }
    return [
      {
        type: 'overlay',
        source: 'overlay',
        options: [
          ...base,
          `workdir=${join(this.#folders.path(id), 'work')}`,
          `upperdir=${upper}`,
          `lowerdir=${lower.map(escapeDir).join(':')}`,
        ],
      },
    ];
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

  // oxlint-disable-next-line require-await -- as above
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
