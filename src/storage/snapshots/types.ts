import type { LayerDirs } from '../tree/index.ts';
import type { Mount } from '../types.ts';

/** Names a snapshot of one snapshotter; never used twice. */
export type SnapshotId = number;

export interface SnapshotInfo {
  readonly id: SnapshotId;
  readonly parent: SnapshotId | undefined;
  /** Committed: may be a parent and is never written to again. */
  readonly committed: boolean;
  /** The sync generation of its last writes: see SyncGenerations. */
  readonly generation: number;
}

/** Bytes and inodes on disk that this snapshot has beside its parent's. */
export interface SnapshotUsage {
  readonly size: number;
  readonly inodes: number;
}

/**
 * File trees, each on top of a committed parent. A snapshot is recorded after its folder is made and forgotten before it
 * is removed, so that what a kill leaves is a folder without a record, which start-up removes. Who needs which snapshot is
 * not known here.
 */
export interface Snapshotter {
  readonly name: string;
  /** How deletions are written into a snapshot's own directory: see ApplyRequest. */
  readonly style: 'overlay' | 'plain';
  /** Overlay xattrs are in the user namespace. */
  readonly userxattr: boolean;
  /** A new writable snapshot. FailedPrecondition when the parent is not committed, NotFound when it is not there. */
  prepare(parent: SnapshotId | undefined, signal?: AbortSignal): Promise<SnapshotId>;
  commit(id: SnapshotId): void;
  /** Says that it is being written to. */
  touch(id: SnapshotId): void;
  /** How mount(2) shows the snapshot. Committed ones are always read-only. No snapshot is needed for a view. */
  mounts(id: SnapshotId, options: { readonly: boolean }): readonly Mount[];
  /** Its directories, topmost first; the first one takes the writes. */
  layers(id: SnapshotId): LayerDirs;
  /** The snapshot and those below it, topmost first. */
  chain(id: SnapshotId): readonly SnapshotId[];
  /** Itself, and every snapshot whose files may have a second name in its own directory: see shared-files.ts. */
  origins(id: SnapshotId): ReadonlySet<SnapshotId>;
  addOrigins(id: SnapshotId, origins: Iterable<SnapshotId>): void;
  usage(id: SnapshotId, signal?: AbortSignal): Promise<SnapshotUsage>;
  find(id: SnapshotId): SnapshotInfo | undefined;
  list(): readonly SnapshotInfo[];
  hasChildren(id: SnapshotId): boolean;
  /** FailedPrecondition while another snapshot has it as its parent. Files go in the background. */
  remove(id: SnapshotId): Promise<void>;
  /** Waits until the folders of removed snapshots are gone. */
  drained(): Promise<void>;
  close(): Promise<void>;
}
