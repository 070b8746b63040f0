import { Mutex, nowNs, throwIfAborted } from '../../base/index.ts';
import type { DiskUsageRecord, PruneOptions } from '../types.ts';
import type { CacheCore } from './cache-core.ts';
import { diskUsage, standsForTwin, usageFields, usageRow } from './disk-usage.ts';
import { parseFilters } from './filter.ts';
import type { Filter } from './filter.ts';
import type { CacheRecord } from './record.ts';
import type { RecordSizes } from './record-sizes.ts';

/** Records that go in one round when nothing limits how much may stay (cache/manager.go maxPruneBatch). */
const BATCH = 10;

interface Round {
  readonly filter: Filter;
  readonly options: PruneOptions;
  /** What may stay; undefined: nothing of what matches. */
  readonly keepBytes: number | undefined;
}

/**
 * How many bytes may stay; undefined: no cap. As much as may be used, less when the disk gets full, never less than what is
 * reserved.
 */
export function bytesToKeep(total: number, freeBytes: number, options: PruneOptions): number | undefined {
  const { maxUsedSpace = 0, reservedSpace = 0, minFreeSpace = 0 } = options;
  if (maxUsedSpace === 0 && reservedSpace === 0 && minFreeSpace === 0) return undefined;
  let keep = maxUsedSpace;
  const missing = minFreeSpace - freeBytes;
  if (minFreeSpace !== 0 && missing > 0) keep = keep === 0 ? total - missing : Math.min(keep, total - missing);
  else if (minFreeSpace !== 0 && keep === 0) keep = total;
  keep = Math.max(keep, reservedSpace);
  return keep === 0 ? undefined : keep;
}

/** Those used longest ago and least often first: ranks of both, each as a part of its highest, are added. */
export function inOrderOfUse<T extends { readonly lastUsedAt?: bigint; readonly usageCount: number }>(
  rows: readonly T[],
): T[] {
  const rank = (values: readonly bigint[]): ((value: bigint) => number) => {
    // Never used is the lowest rank, whether there is such a row or not.
    const sorted = [...new Set([0n, ...values])].toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const ranks = new Map(sorted.map((value, i) => [value, (i + 1) / sorted.length]));
    return (value) => ranks.get(value) ?? 0;
  };
  const byTime = rank(rows.map((row) => row.lastUsedAt ?? 0n));
  const byCount = rank(rows.map((row) => BigInt(row.usageCount)));
  const score = (row: T): number => byTime(row.lastUsedAt ?? 0n) + byCount(BigInt(row.usageCount));
  return rows.toSorted((a, b) => score(a) - score(b));
}

/** Removes what nobody uses, as far as the options say so. One prune at a time. */
export class Pruner {
  readonly #core: CacheCore;
  readonly #sizes: RecordSizes;
  readonly #mutex = new Mutex();

  constructor(core: CacheCore, sizes: RecordSizes) {
    this.#core = core;
    this.#sizes = sizes;
  }

  async prune(
    all: readonly PruneOptions[],
    onRecord: (record: DiskUsageRecord) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#mutex.run(async () => {
      for (const options of all) await this.#pruneBy(options, onRecord, signal);
    }, signal);
  }

  async #pruneBy(
    options: PruneOptions,
    onRecord: (record: DiskUsageRecord) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const filter = parseFilters(options.filter ?? [], 'prune');
    const { maxUsedSpace = 0, reservedSpace = 0, minFreeSpace = 0 } = options;
    let total = 0;
    if (maxUsedSpace !== 0 || reservedSpace !== 0 || minFreeSpace !== 0) {
      for (const row of await diskUsage(this.#core, this.#sizes, {})) if (!row.shared) total += row.size;
    }
    const { kernel, root } = this.#core.options;
    const free = minFreeSpace === 0 ? 0 : kernel.space(root).free;
    const round: Round = { filter, options, keepBytes: bytesToKeep(total, free, options) };
    for (;;) {
      throwIfAborted(signal);
      if (round.keepBytes !== undefined && total < round.keepBytes) return;
      const released = await this.#pruneOnce(round, onRecord, signal);
      if (released === undefined) return;
      total -= released;
    }
  }

  /** The bytes that went; undefined when nothing was left to remove. Parents become free with their children: rounds. */
  async #pruneOnce(
    round: Round,
    onRecord: (record: DiskUsageRecord) => void,
    signal: AbortSignal | undefined,
  ): Promise<number | undefined> {
    const candidates = this.#candidates(round);
    if (candidates.length === 0) return undefined;
    const chosen =
      round.keepBytes === undefined
        ? candidates.slice(0, BATCH)
        : inOrderOfUse(candidates.map((record) => useOf(record)))
            .slice(0, 1)
            .map(({ record }) => record);
    let bytes = 0;
    let count = 0;
    for (const record of chosen) {
      const size = await this.#sizes.sizeOrZero(record, signal);
      // Somebody may have taken it while its size was counted.
      if (this.#core.store.find(record.id) !== record || record.refs > 0 || (record.twin?.refs ?? 0) > 0) continue;
      const row = usageRow(record, false, size);
      this.#core.remove([record]);
      bytes += size;
      count++;
      onRecord(row);
    }
    // All were taken again: whoever did will see to it.
    return count === 0 ? undefined : bytes;
  }

  #candidates({ filter, options }: Round): CacheRecord[] {
    const { all = false, keepDurationNs = 0n } = options;
    const cutOff = nowNs() - keepDurationNs;
    return [...this.#core.store.all()].filter((record) => {
      if (!standsForTwin(record) || record.refs > 0) return false;
      const { recordType, lastUsedAt } = record.data;
      if (!all && (recordType === 'internal' || recordType === 'frontend')) return false;
      if (keepDurationNs !== 0n && lastUsedAt !== undefined && lastUsedAt > cutOff) return false;
      return filter(usageFields(usageRow(record, false, 0)));
    });
  }
}

function useOf(record: CacheRecord): { record: CacheRecord; lastUsedAt: bigint | undefined; usageCount: number } {
  const { lastUsedAt, usageCount } = record.data;
  return { record, lastUsedAt, usageCount };
}
