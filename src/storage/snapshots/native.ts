import { mkdirSync } from 'node:fs';
import { applyMerge } from '../merge/index.ts';
import type { LayerDirs } from '../tree/index.ts';
import type { Mount } from '../types.ts';
import { FolderSnapshotter } from './folder-snapshotter.ts';
import type { SnapshotId } from './types.ts';

/** Each snapshot is a whole tree: a copy of its parent's. Works on every file system; copies share blocks where it can. */
export class NativeSnapshotter extends FolderSnapshotter {
  readonly name = 'native';
  readonly style = 'plain';
  readonly userxattr = false;

  async prepare(parent: SnapshotId | undefined, signal?: AbortSignal): Promise<SnapshotId> {
    this.table.requireParent(parent);
    const id = this.table.allocate();
    try {
      mkdirSync(this.folders.path(id), { recursive: true, mode: 0o700 });
      mkdirSync(this.fs(id), { mode: 0o755 });
      if (parent !== undefined) {
        await applyMerge(
          {
            diffs: [{ lower: [], upper: [this.fs(parent)], link: false }],
            target: this.fs(id),
            style: 'plain',
            lower: [],
          },
          signal === undefined ? {} : { signal },
        );
      }
      this.table.add(id, parent);
    } catch (error) {
      this.folders.remove(id);
      throw error;
    }
    return id;
  }

  layers(id: SnapshotId): LayerDirs {
    this.table.get(id);
    return [this.fs(id)];
  }

  mounts(id: SnapshotId, options: { readonly: boolean }): readonly Mount[] {
    const readonly = options.readonly || this.table.get(id).committed;
    return [{ type: 'bind', source: this.fs(id), options: [readonly ? 'ro' : 'rw', 'rbind'] }];
  }
}
