import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { logger } from '../../base/index.ts';
import type { Database } from '../../metadata/index.ts';
import { SnapshotFolders } from './folders.ts';
import { NativeSnapshotter } from './native.ts';
import { OverlaySnapshotter } from './overlay.ts';
import type { OverlayAbilities } from './overlay-abilities.ts';
import { SnapshotTable } from './snapshot-table.ts';
import type { Snapshotter } from './types.ts';

export type SnapshotterName = 'overlayfs' | 'native';

export interface OpenSnapshotterOptions {
  readonly root: string;
  readonly db: Database;
  readonly name: SnapshotterName;
  readonly overlay?: OverlayAbilities;
  /** The sync generation that writes are made in now. */
  readonly generation: () => number;
}

/**
 * Opens the snapshots below `<root>/snapshots/<name>`: folders without a record are removed, records without a folder are
 * given to `onLost` by their owner (they are in `list()`, see hasFolder).
 */
export function openSnapshotter(options: OpenSnapshotterOptions): {
  snapshotter: Snapshotter;
  lost: readonly number[];
} {
  const folder = join(options.root, 'snapshots', options.name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const folders = new SnapshotFolders(folder);
  const table = new SnapshotTable(options.db, options.name, options.generation);
  const present = new Set(folders.scan());
  table.avoid(present);
  let strangers = 0;
  for (const id of present) {
    if (table.find(id) !== undefined) continue;
    folders.remove(id);
    strangers++;
  }
  if (strangers > 0) logger.warn('removed snapshot folders without a record', { count: strangers });
  const lost = table
    .list()
    .filter((info) => !present.has(info.id))
    .map((info) => info.id);
  const snapshotter: Snapshotter =
    options.name === 'overlayfs'
      ? new OverlaySnapshotter(folders, table, options.overlay ?? { userxattr: false, volatile: false })
      : new NativeSnapshotter(folders, table);
  return { snapshotter, lost };
}
