import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Code, logger, randomId, toBuildError } from '../../base/index.ts';
import type { Database } from '../../metadata/index.ts';
import type { StorageKernel } from '../kernel.ts';
import { SnapshotFolders } from './folders.ts';
import { NativeSnapshotter } from './native.ts';
import { OverlaySnapshotter } from './overlay.ts';
import { SnapshotTable } from './snapshot-table.ts';
import type { Snapshotter } from './types.ts';

export type SnapshotterName = 'overlayfs' | 'native';

/** Says nothing of what works there: another snapshotter would not know of what is kept. */
function refuseFullDisk(error: unknown): void {
  if (toBuildError(error).code === Code.ResourceExhausted) throw error;
}

/**
 * Whether an overlay whose writable layer is below `root` works, and whether it needs its xattrs in the user namespace.
 * undefined: not at all.
 */
export async function probeOverlay(
  root: string,
  kernel: Pick<StorageKernel, 'mount' | 'unmount'>,
): Promise<{ userxattr: boolean } | undefined> {
  const directory = join(root, `probe-${randomId()}`);
  const [lower, below, upper, work, merged] = ['l1', 'l2', 'u', 'w', 'm'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
    string,
    string,
  ];
  try {
    for (const path of [lower, below, upper, work, merged]) mkdirSync(path, { recursive: true });
    for (const userxattr of [false, true]) {
      const options = [
        'index=off',
        ...(userxattr ? ['userxattr'] : []),
        `workdir=${work}`,
        `upperdir=${upper}`,
        `lowerdir=${lower}:${below}`,
      ];
      try {
        await kernel.mount([{ type: 'overlay', source: 'overlay', options }], merged);
      } catch (error) {
        refuseFullDisk(error);
        logger.debug('overlayfs does not mount', { error, userxattr });
        continue;
      }
      try {
        writeFileSync(join(merged, 'file'), '');
        return { userxattr };
      } catch (error) {
        refuseFullDisk(error);
        logger.debug('overlayfs cannot be written to', { error, userxattr });
      } finally {
        await kernel.unmount(merged);
      }
    }
    return undefined;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export interface OpenSnapshotterOptions {
  readonly root: string;
  readonly db: Database;
  readonly name: SnapshotterName;
  readonly userxattr?: boolean;
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
      ? new OverlaySnapshotter(folders, table, { userxattr: options.userxattr ?? false })
      : new NativeSnapshotter(folders, table);
  return { snapshotter, lost };
}
