import type { ArchiveLimits } from '../../archive/index.ts';
import type { DiskContentStore } from '../../content/index.ts';
import type { Database } from '../../metadata/index.ts';
import type { StorageKernel } from '../kernel.ts';
import type { Snapshotter } from '../snapshots/index.ts';
import type { LazyBlobProvider } from '../types.ts';

export interface CacheOptions {
  /** The folder of the daemon; mounts that this folder makes are below `<root>/mounts`. */
  readonly root: string;
  readonly db: Database;
  readonly content: DiskContentStore;
  readonly snapshotter: Snapshotter;
  readonly kernel: StorageKernel;
  /** Makes the provider of a blob again from its `origin`, after a restart. */
  readonly reopenProvider?: (origin: string) => LazyBlobProvider | undefined;
  /** Blobs that are downloaded at a time; 4 by default. */
  readonly downloads?: number;
  /** Of layers that are unpacked. */
  readonly archiveLimits?: Partial<ArchiveLimits>;
  /** Frees a little room on a full disk, where some was kept aside: what goes is to be written down, too. */
  readonly makeRoom?: () => void;
  /** Content digests kept under `treeKey` are of no use any more. */
  readonly onTreeGone?: (treeKey: string) => void;
}
