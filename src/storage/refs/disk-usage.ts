import { mapConcurrent, nowNs } from '../../base/index.ts';
import type { DiskUsageRecord } from '../types.ts';
import type { CacheCore } from './cache-core.ts';
import { parseFilters } from './filter.ts';
import type { FilterFields } from './filter.ts';
import { parentIds } from './record.ts';
import type { CacheRecord } from './record.ts';
import type { RecordSizes } from './record-sizes.ts';

/** One of a mutable record and its committed twin stands for both. */
export function standsForTwin(record: CacheRecord): boolean {
  const { twin } = record;
  if (twin === undefined) return true;
  return record.data.mutable ? twin.refs === 0 : record.refs > 0;
}

/** Fields of cache/manager.go adaptUsageInfo: those that are yes or no are present with an empty value, or absent. */
export function usageFields(row: Omit<DiskUsageRecord, 'size'>): FilterFields {
  const given = (text: string): string | undefined => (text === '' ? undefined : text);
  const flag = (on: boolean): string | undefined => (on ? '' : undefined);
  return (path) => {
    switch (path[0]) {
      case 'id':
        return given(row.id);
      case 'parents':
        return given(row.parents.join(';'));
      case 'description':
        return given(row.description);
      case 'inuse':
        return flag(row.inUse);
      case 'mutable':
        return flag(row.mutable);
      case 'immutable':
        return flag(!row.mutable);
      case 'type':
        return given(row.recordType);
      case 'shared':
        return flag(row.shared);
      case 'private':
        return flag(!row.shared);
      default:
        return undefined;
    }
  };
}

export function usageRow(record: CacheRecord, inUse: boolean, size: number): DiskUsageRecord {
  const { data } = record;
  return {
    id: data.id,
    mutable: data.mutable,
    inUse,
    size,
    parents: parentIds(data.shape),
    createdAt: data.createdAt,
    ...(data.lastUsedAt === undefined ? {} : { lastUsedAt: data.lastUsedAt }),
    usageCount: data.usageCount,
    description: data.description,
    recordType: data.recordType,
    // Of records that a store of images beside this cache has too: there is none.
    shared: false,
  };
}

/** Records that somebody holds, and their parents: being a parent alone is no use. */
function recordsInUse(core: CacheCore): Set<CacheRecord> {
  const used = new Set<CacheRecord>();
  const waiting = [...core.store.all()].filter((record) => record.users > 0);
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (used.has(at)) continue;
    used.add(at);
    waiting.push(...core.store.parentsOf(at));
  }
  return used;
}

export async function diskUsage(
  core: CacheCore,
  sizes: RecordSizes,
  options: { filter?: readonly string[]; ageLimitNs?: bigint },
): Promise<DiskUsageRecord[]> {
  const filter = parseFilters(options.filter ?? [], 'diskusage');
  const inUse = recordsInUse(core);
  const limit = options.ageLimitNs ?? 0n;
  const cutOff = nowNs() - limit;
  const shown = [...core.store.all()].filter((record) => {
    if (!standsForTwin(record)) return false;
    const row = usageRow(record, inUse.has(record), 0);
    if (!filter(usageFields(row))) return false;
    return limit <= 0n || row.lastUsedAt === undefined || row.lastUsedAt <= cutOff;
  });
  return await mapConcurrent(shown, 4, async (record) => {
    // What is written to now has no size.
    const changing = record.data.mutable && record.refs > 0;
    const size = changing ? 0 : await sizes.sizeOrZero(record);
    return usageRow(record, inUse.has(record), size);
  });
}
