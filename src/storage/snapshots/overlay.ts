import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { LayerDirs } from '../tree/index.ts';
import type { Mount } from '../types.ts';
import { abilityOptions } from './overlay-abilities.ts';
import type { OverlayAbilities } from './overlay-abilities.ts';
import { FolderSnapshotter } from './folder-snapshotter.ts';
import type { SnapshotFolders } from './folders.ts';
import type { SnapshotTable } from './snapshot-table.ts';
import type { SnapshotId } from './types.ts';

const escapeDir = (dir: string): string => dir.replace(/[\\:]/g, '\\$&');

/** Each snapshot is an overlayfs upper directory `<id>/fs` (with `<id>/work`) on those of its parents. */
export class OverlaySnapshotter extends FolderSnapshotter {
  readonly name = 'overlayfs';
  readonly style = 'overlay';
  readonly #abilities: OverlayAbilities;

  constructor(folders: SnapshotFolders, table: SnapshotTable, abilities: OverlayAbilities) {
    super(folders, table);
    this.#abilities = abilities;
  }

  get userxattr(): boolean {
    return this.#abilities.userxattr;
  }

  // oxlint-disable-next-line require-await -- the interface waits for snapshotters that copy
  async prepare(parent: SnapshotId | undefined): Promise<SnapshotId> {
    this.table.requireParent(parent);
    const id = this.table.allocate();
    const folder = this.folders.path(id);
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      mkdirSync(join(folder, 'fs'), { mode: 0o755 });
      mkdirSync(join(folder, 'work'), { mode: 0o711 });
      chmodSync(join(folder, 'fs'), 0o755); // whatever the umask is
      if (parent !== undefined) {
        // The root of an overlay is its topmost directory: mode and owner are handed up.
        const below = lstatSync(this.fs(parent));
        chownSync(join(folder, 'fs'), below.uid, below.gid);
        chmodSync(join(folder, 'fs'), below.mode & 0o7777);
      }
      this.table.add(id, parent);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
    return id;
  }

  layers(id: SnapshotId): LayerDirs {
    return this.table.chain(id).map((at) => this.fs(at));
  }

  mounts(id: SnapshotId, options: { readonly: boolean }): readonly Mount[] {
    const readonly = options.readonly || this.table.get(id).committed;
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
          `workdir=${join(this.folders.path(id), 'work')}`,
          `upperdir=${upper}`,
          `lowerdir=${lower.map(escapeDir).join(':')}`,
        ],
      },
    ];
  }
}
