import type { CacheCore } from './cache-core.ts';
import type { RecordData } from './record.ts';

/** Reads the records, dropping those whose files are gone and those that only a running daemon could have gone on with. */
export function loadRecords(core: CacheCore, isSafe: (snapshot: number) => boolean): void {
  const { snapshotter, content } = core.options;

  const chainIsSafe = (snapshot: number): boolean => {
    for (let at: number | undefined = snapshot; at !== undefined;) {
      const info = snapshotter.find(at);
      if (info === undefined || !isSafe(at)) return false;
      at = info.parent;
    }
    return true;
  };

  const isWhole = (data: RecordData): boolean => {
    if (data.snapshot !== undefined) return chainIsSafe(data.snapshot);
    if (data.shape.kind === 'merge' || data.shape.kind === 'diff') return true;
    return data.blob !== undefined && (data.origin !== undefined || content.find(data.blob.digest) !== undefined);
  };

  // An unfinished mutable record, and a pair that nobody wanted to keep, would have gone with their last ref.
  const isLeftover = (data: RecordData, all: ReadonlyMap<string, RecordData>): boolean => {
    if (data.mutable) {
      if (data.retain) return false;
      return ![...all.values()].some((other) => other.twin === data.id);
    }
    if (data.twin === undefined || data.retain) return false;
    return all.get(data.twin)?.retain !== true;
  };

  core.store.load(isWhole, isLeftover);

  // Blobs that are gone for good are made anew from the files when somebody asks.
  const changed: RecordData[] = [];
  for (const { data } of core.store.all()) {
    const variants = data.variants.filter((variant) => content.find(variant.digest) !== undefined);
    const lost = data.blob !== undefined && data.origin === undefined && content.find(data.blob.digest) === undefined;
    if (!lost && variants.length === data.variants.length) continue;
    const { blob, blobChainId, ...rest } = data;
    const kept = lost || blob === undefined ? {} : { blob, ...(blobChainId === undefined ? {} : { blobChainId }) };
    changed.push({ ...rest, ...kept, variants, size: undefined });
  }
  if (changed.length > 0) core.store.change({ put: changed });
}
