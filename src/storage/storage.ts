import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ArchiveLimits } from '../archive/index.ts';
import { BuildError, Code, logger } from '../base/index.ts';
import { openContentStore } from '../content/index.ts';
import type { DiskContentStore } from '../content/index.ts';
import { openDatabase } from '../metadata/index.ts';
import type { Database } from '../metadata/index.ts';
import type { Digest } from '../oci/types.ts';
import { createTreeHasher } from './contenthash/index.ts';
import type { TreeHasher } from './contenthash/index.ts';
import { SqliteImageStore } from './images.ts';
import type { ImageStore } from './images.ts';
import type { StorageKernel } from './kernel.ts';
import { offerMounts } from './local-mount.ts';
import { openCache } from './refs/index.ts';
import { openSnapshotter, probeOverlay, SyncGenerations } from './snapshots/index.ts';
import type { OverlayAbilities } from './snapshots/index.ts';
import type { SnapshotterName } from './snapshots/index.ts';
import type { CacheAccessor, LazyBlobProvider, PruneOptions } from './types.ts';

export interface OpenStorageOptions {
  /** The daemon's folder; made when missing. Only one process may have it open: the caller sees to that. */
  readonly root: string;
  /** `auto`: overlayfs where it works, native elsewhere. */
  readonly snapshotter: SnapshotterName | 'auto';
  readonly kernel: StorageKernel;
  /** The daemon's database; without one `<root>/buildkit.db` is opened, and closed again. */
  readonly db?: Database;
  /** Makes the provider of a lazy blob again from its `origin`, after a restart. */
  readonly reopenProvider?: (origin: string) => LazyBlobProvider | undefined;
  /** Blobs that are downloaded at a time; 4 by default. */
  readonly downloads?: number;
  /** Of layers that are unpacked. */
  readonly archiveLimits?: Partial<ArchiveLimits>;
  /** Frees a little room on a full disk, where some was kept aside. */
  readonly makeRoom?: () => void;
  /** Milliseconds between syncs of the file system; 30 s by default. */
  readonly syncEveryMs?: number;
}

export interface Storage {
  readonly accessor: CacheAccessor;
  readonly hasher: TreeHasher;
  readonly content: DiskContentStore;
  readonly db: Database;
  readonly images: ImageStore;
  readonly snapshotterName: string;
  /** Held refs, mounts and writes of blobs: none when nothing runs. */
  leaks(): string[];
  /** Blobs listed by `owner` are not removed until the returned function is called: for whoever keeps digests elsewhere. */
  protectBlobs(owner: () => Iterable<Digest>): () => void;
  /** Prunes by each policy in turn, then removes blobs that nobody names. */
  gc(policies: readonly PruneOptions[]): Promise<void>;
  /** Waits until the files of removed records are gone. */
  drained(): Promise<void>;
  /** Refs may not be used afterwards. */
  close(): Promise<void>;
}

async function chooseSnapshotter(
  root: string,
  wanted: SnapshotterName | 'auto',
  kernel: StorageKernel,
): Promise<{ name: SnapshotterName; overlay?: OverlayAbilities }> {
  if (wanted === 'native') return { name: 'native' };
  const overlay = await probeOverlay(root, kernel);
  if (overlay !== undefined) return { name: 'overlayfs', overlay };
  if (wanted === 'overlayfs') throw new BuildError(Code.FailedPrecondition, `overlayfs does not work below ${root}`);
  logger.info('overlayfs does not work here: using the native snapshotter', { root });
  return { name: 'native' };
}

export async function openStorage(options: OpenStorageOptions): Promise<Storage> {
  const { root, kernel } = options;
  mkdirSync(root, { recursive: true, mode: 0o711 });
  await using opened = new AsyncDisposableStack();
  const { name, overlay } = await chooseSnapshotter(root, options.snapshotter, kernel);
  let { db } = options;
  if (db === undefined) {
    const own = openDatabase(join(root, 'buildkit.db'));
    opened.defer(() => own.close());
    db = own;
  }
  const content = openContentStore(join(root, 'content'), db);
  const generations = new SyncGenerations(db, kernel.bootId());
  const { snapshotter, lost } = openSnapshotter({
    root,
    db,
    name,
    ...(overlay === undefined ? {} : { overlay }),
    generation: () => generations.current(),
  });
  opened.defer(() => snapshotter.close());

  const missing = new Set(lost);
  const unsafe = (id: number): boolean =>
    missing.has(id) || (snapshotter.find(id)?.generation ?? 0) > generations.safeAtStart;
  // The hasher asks the cache for keys, the cache tells the hasher what went.
  let hasher: TreeHasher | undefined;
  const cache = await openCache(
    {
      root,
      db,
      content,
      snapshotter,
      kernel,
      ...(options.reopenProvider === undefined ? {} : { reopenProvider: options.reopenProvider }),
      ...(options.makeRoom === undefined ? {} : { makeRoom: options.makeRoom }),
      ...(options.downloads === undefined ? {} : { downloads: options.downloads }),
      ...(options.archiveLimits === undefined ? {} : { archiveLimits: options.archiveLimits }),
      onTreeGone: (key) => {
        hasher?.drop(key).catch((error: unknown) => logger.debug('content digests could not be dropped', { error }));
      },
    },
    (id) => !unsafe(id),
  );
  const trees = createTreeHasher({
    directory: join(root, 'contenthash', name),
    keyOf: (ref) => cache.treeKeyOf(ref),
    mount: (mounts) => cache.mounts.directory({ mounts, release: async () => {} }, { readonly: true }),
  });
  hasher = trees;
  opened.defer(() => trees.close());
  const images = new SqliteImageStore(db);
  cache.protectBlobs(() => images.digests());

  const stillOpen = (): void => {
    for (const id of cache.writable()) snapshotter.touch(id);
  };
  const sync = (): Promise<boolean> => generations.sync(() => kernel.syncFileSystem(root), stillOpen);
  let syncing: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    syncing = syncing.then(sync).catch((error: unknown) => logger.warn('storage could not be synced', { error }));
  }, options.syncEveryMs ?? 30_000);
  timer.unref();
  const withdraw = offerMounts(cache.mounts);

  const owned = opened.move();
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    clearInterval(timer);
    withdraw();
    try {
      await syncing;
      await cache.drained();
      if (await sync()) generations.ended();
    } finally {
      await owned.disposeAsync();
    }
  };
  return {
    accessor: cache,
    hasher: trees,
    content,
    db,
    images,
    snapshotterName: name,
    leaks: () => [...cache.held(), ...content.openWrites.map((ref) => `write ${ref}`)],
    protectBlobs: (owner) => cache.protectBlobs(owner),
    gc: async (policies) => {
      await cache.prune(policies, () => {});
      await db.compact();
    },
    drained: () => cache.drained(),
    close: () => (closing ??= close()),
  };
}
