import {
  BuildError,
  Code,
  mapConcurrent,
  noProgress,
  notFound,
  nowNs,
  randomId,
  Semaphore,
  SharedCalls,
} from '../../base/index.ts';
import type { Descriptor } from '../../oci/types.ts';
import { applyLayer } from '../apply/index.ts';
import { applyMerge } from '../merge/index.ts';
import type { MergeDiff } from '../merge/index.ts';
import { shareFiles } from '../snapshots/index.ts';
import type { SnapshotId } from '../snapshots/index.ts';
import type { LayerDirs } from '../tree/index.ts';
import type { LazyBlobProvider, StorageContext } from '../types.ts';
import type { CacheCore } from './cache-core.ts';
import type { CacheRecord } from './record.ts';

/** What one layer changes. */
interface LayerChangeDirs {
  readonly lower: LayerDirs;
  readonly upper: LayerDirs;
  /** The snapshots that changed files may be in. */
  readonly sources: readonly SnapshotId[];
}

interface FillTarget {
  readonly id: SnapshotId;
  readonly target: string;
  readonly style: 'overlay' | 'plain';
  readonly userxattr: boolean;
}

/** Makes snapshots of what is only described: blobs are fetched and unpacked, merges and diffs are applied. */
export class Realiser {
  readonly #core: CacheCore;
  readonly #downloads: Semaphore;
  readonly #fetching = new SharedCalls<string, void>();
  readonly #making = new SharedCalls<string, void>();

  constructor(core: CacheCore) {
    this.#core = core;
    this.#downloads = new Semaphore(core.options.downloads ?? 4);
  }

  /** Idempotent. Callers of one record share the work; its layers are fetched side by side and unpacked from the base up. */
  async unlazy(record: CacheRecord, context: StorageContext): Promise<void> {
    this.#core.finalizeParents(record);
    if (record.data.snapshot !== undefined) return;
    // The top record keeps those below it.
    const hold = this.#core.hold(record, { what: 'unlazy', touch: false });
    const abort = new AbortController();
    const signal = context.signal === undefined ? abort.signal : AbortSignal.any([context.signal, abort.signal]);
    try {
      const lazy = this.#lazyChain(record);
      const fetches = lazy
        .filter((layer) => layer.data.blob !== undefined && this.#unpacked(layer) === undefined)
        .map((layer) => this.fetch(layer, { ...context, signal }));
      for (const fetch of fetches) fetch.catch(() => {}); // seen where the layer is made
      for (const layer of lazy) {
        await this.#making.do(layer.id, signal, (shared) => this.#make(layer, { ...context, signal: shared }));
      }
    } finally {
      abort.abort();
      hold.release();
    }
  }

  /** From the lowest that has no snapshot up to `record`, along `layer` parents. */
  #lazyChain(record: CacheRecord): CacheRecord[] {
    const chain: CacheRecord[] = [];
    for (let at: CacheRecord | undefined = record; at !== undefined && at.data.snapshot === undefined;) {
      chain.push(at);
      at = at.data.shape.kind === 'layer' ? this.#core.store.get(at.data.shape.parent) : undefined;
    }
    return chain.reverse();
  }

  /** Another record of the same layers may have been unpacked already, by the rules of the same system. */
  #unpacked(record: CacheRecord): CacheRecord | undefined {
    const { chainId } = record.data;
    if (chainId === undefined) return undefined;
    const { store } = this.#core;
    const system = store.systemOf(record);
    return store
      .search(`chainid:${chainId}`)
      .find(
        (other) =>
          other.data.snapshot !== undefined &&
          (system === undefined || (store.systemOf(other) === 'windows') === (system === 'windows')),
      );
  }

  async #make(record: CacheRecord, context: StorageContext): Promise<void> {
    const { store, options } = this.#core;
    if (record.data.snapshot !== undefined) return;
    const unpacked = this.#unpacked(record);
    if (unpacked?.data.snapshot !== undefined) {
      const { snapshot } = unpacked.data;
      const system = store.systemOf(unpacked);
      options.snapshotter.commit(snapshot);
      store.update(record, { snapshot, ...(system === undefined ? {} : { system }) });
      return;
    }
    const { shape } = record.data;
    switch (shape.kind) {
      case 'base':
      case 'layer':
        await this.#unpack(record, shape.kind === 'layer' ? store.get(shape.parent) : undefined, context);
        return;
      case 'merge':
        await this.#merge(
          record,
          shape.parents.map((id) => store.get(id)),
          context,
        );
        return;
      case 'diff': {
        const diff = await this.#diffOf(record, context);
        await this.#fill(record, undefined, context, async (target) => {
          const diffs = [this.#shared(diff, target.id)];
          const foldsCase = store.systemOf(record) === 'windows';
          const usage = await applyMerge({ ...target, diffs, lower: [], foldsCase }, workOptions(context));
          return usage.size;
        });
      }
    }
  }

  /** A new snapshot on `parent`, filled by `fill`, becomes the record's; on failure nothing is left. */
  async #fill(
    record: CacheRecord,
    parent: SnapshotId | undefined,
    context: StorageContext,
    fill: (target: FillTarget) => Promise<number | undefined>,
  ): Promise<void> {
    const { snapshotter } = this.#core.options;
    const id = await snapshotter.prepare(parent, context.signal);
    try {
      const { style, userxattr } = snapshotter;
      const size = await fill({ id, target: snapshotter.layers(id)[0] as string, style, userxattr });
      this.#core.options.db.transaction(() => {
        snapshotter.commit(id);
        this.#core.store.update(record, { snapshot: id, ...(size === undefined ? {} : { size }) });
      });
    } catch (error) {
      this.#core.discardSnapshot(id);
      throw error;
    }
  }

  async #unpack(record: CacheRecord, parent: CacheRecord | undefined, context: StorageContext): Promise<void> {
    const { snapshotter, content, archiveLimits } = this.#core.options;
    const { blob, diffId } = record.data;
    if (blob === undefined) throw new BuildError(Code.Internal, `${record.id} has neither files nor a blob`);
    if (parent !== undefined) await this.unlazy(parent, context);
    await this.fetch(record, context);
    const below = parent?.data.snapshot;
    const progress = context.progress ?? noProgress;
    const started = nowNs();
    const id = `extracting ${blob.digest}`;
    progress.status({ id, started });
    await this.#fill(record, below, context, async (target) => {
      const { store } = this.#core;
      // What has a parent is of the parent's system, which is known now.
      const system = (parent && store.systemOf(parent)) ?? store.systemOf(record);
      const applied = await applyLayer(
        {
          ...target,
          system,
          isBase: below === undefined,
          source: content.pathOf(blob.digest),
          ...(target.style === 'overlay' ? { parents: below === undefined ? [] : snapshotter.layers(below) } : {}),
          ...(diffId === undefined ? {} : { diffId }),
          ...(archiveLimits === undefined ? {} : { limits: archiveLimits }),
        },
        workOptions(context),
      );
      if (store.systemOf(record) !== applied.system) store.update(record, { system: applied.system });
      return undefined;
    });
    progress.status({ id, started, completed: nowNs() });
  }

  /** The first parent is mounted as it is; the layers of the others are applied on it. */
  async #merge(record: CacheRecord, parents: readonly CacheRecord[], context: StorageContext): Promise<void> {
    const { store, options } = this.#core;
    const [base, ...others] = parents as [CacheRecord, ...CacheRecord[]];
    await mapConcurrent(
      parents.filter((p) => p.data.shape.kind !== 'diff' || p === base),
      2,
      (p) => this.unlazy(p, context),
    );
    const changes: LayerChangeDirs[] = [];
    for (const layer of others.flatMap((parent) => store.layerChain(parent))) {
      changes.push(await this.#diffOf(layer, context));
    }
    const below = base.data.snapshot as SnapshotId;
    await this.#fill(record, below, context, async (target) => {
      const lower = target.style === 'overlay' ? options.snapshotter.layers(below) : [];
      const diffs = changes.map((change) => this.#shared(change, target.id));
      const foldsCase = store.systemOf(record) === 'windows';
      const usage = await applyMerge({ ...target, diffs, lower, foldsCase }, workOptions(context));
      return usage.size;
    });
  }

  /** What one layer changes, as directories. */
  async #diffOf(layer: CacheRecord, context: StorageContext): Promise<LayerChangeDirs> {
    const { store, options } = this.#core;
    const { snapshotter } = options;
    const { shape } = layer.data;
    if (shape.kind === 'diff') {
      const dirs = async (id: string | undefined): Promise<readonly string[]> => {
        if (id === undefined) return [];
        const side = store.get(id);
        await this.unlazy(side, context);
        return snapshotter.layers(side.data.snapshot as SnapshotId);
      };
      const [lower, upper] = [await dirs(shape.lower), await dirs(shape.upper)];
      const top = shape.upper === undefined ? undefined : store.get(shape.upper).data.snapshot;
      return { lower, upper, sources: top === undefined ? [] : snapshotter.chain(top) };
    }
    await this.unlazy(layer, context);
    const snapshot = layer.data.snapshot as SnapshotId;
    const below = snapshotter.find(snapshot)?.parent;
    const lower = below === undefined ? [] : snapshotter.layers(below);
    return { lower, upper: snapshotter.layers(snapshot), sources: [snapshot] };
  }

  /** With hard links where all that changed may be linked. */
  #shared({ lower, upper, sources }: LayerChangeDirs, target: SnapshotId): MergeDiff {
    const may = shareFiles(this.#core.options.snapshotter, sources, target);
    return { lower, upper, link: may.every(Boolean) };
  }

  /** The directories below and with a layer, for making its blob. */
  async diffDirs(
    layer: CacheRecord,
    context: StorageContext,
  ): Promise<{ readonly lower: LayerDirs; readonly upper: LayerDirs }> {
    return await this.#diffOf(layer, context);
  }

  /** Brings the record's blob into the content store. */
  async fetch(record: CacheRecord, context: StorageContext): Promise<void> {
    const { blob } = record.data;
    if (blob === undefined || this.#core.options.content.find(blob.digest) !== undefined) return;
    await this.#fetching.do(blob.digest, context.signal, (signal) =>
      this.#downloads.run(() => this.#download(record, blob, { ...context, signal }), signal),
    );
  }

  providerOf(record: CacheRecord): LazyBlobProvider | undefined {
    if (record.provider === undefined && record.data.origin !== undefined) {
      record.provider = this.#core.options.reopenProvider?.(record.data.origin);
    }
    return record.provider;
  }

  async #download(record: CacheRecord, blob: Descriptor, context: StorageContext): Promise<void> {
    const { content } = this.#core.options;
    if (content.find(blob.digest) !== undefined) return;
    const provider = this.providerOf(record);
    // Upstream's text (cache/opts.go NeedsRemoteProviderError).
    if (provider === undefined) throw notFound(`missing descriptor handlers for lazy blobs [${blob.digest}]`);
    const progress = context.progress ?? noProgress;
    const status = { id: blob.digest, total: blob.size, started: nowNs() };
    progress.status({ ...status, current: 0 });
    const writer = await content.writer(`lazy-${randomId()}-${blob.digest}`);
    try {
      const reader = await provider.reader(blob, context.signal, context.sessions);
      try {
        let shown = status.started;
        for await (const chunk of reader.stream()) {
          context.signal?.throwIfAborted();
          await writer.write(chunk);
          if (writer.offset > blob.size) {
            throw new BuildError(Code.FailedPrecondition, `${blob.digest} is larger than its ${blob.size} bytes`);
          }
          const now = nowNs();
          if (now - shown > 100_000_000n) {
            shown = now;
            progress.status({ ...status, current: writer.offset });
          }
        }
      } finally {
        await reader.close();
      }
      await writer.commit({
        digest: blob.digest,
        size: blob.size,
        ...(record.data.diffId === undefined
          ? {}
          : { labels: new Map([['containerd.io/uncompressed', record.data.diffId as string]]) }),
      });
    } finally {
      await writer.abort();
    }
    progress.status({ ...status, current: blob.size, completed: nowNs() });
  }
}

function workOptions(context: StorageContext): { signal?: AbortSignal } {
  return context.signal === undefined ? {} : { signal: context.signal };
}
