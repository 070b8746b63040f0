import { logger, SharedCalls } from '../../base/index.ts';
import type { CacheCore } from './cache-core.ts';
import type { CacheRecord } from './record.ts';

/** Bytes on disk of records: their own files and their blobs, counted when first asked for and kept with the record. */
export class RecordSizes {
  readonly #core: CacheCore;
  readonly #counting = new SharedCalls<string, number>();

  constructor(core: CacheCore) {
    this.#core = core;
  }

  async size(record: CacheRecord, signal?: AbortSignal): Promise<number> {
    if (record.data.size !== undefined) return record.data.size;
    return await this.#counting.do(record.id, signal, (shared) => this.#count(record, shared));
  }

  /** As {@link size}; 0 for what went away meanwhile. */
  async sizeOrZero(record: CacheRecord, signal?: AbortSignal): Promise<number> {
    try {
      return await this.size(record, signal);
    } catch (error) {
      if (this.#core.store.find(record.id) === record) throw error;
      return 0;
    }
  }

  async #count(record: CacheRecord, signal: AbortSignal): Promise<number> {
    const { snapshotter, content } = this.#core.options;
    const before = record.data;
    let size = 0;
    if (before.snapshot !== undefined) size += (await snapshotter.usage(before.snapshot, signal)).size;
    const digests = new Set([before.blob, ...before.variants].filter((b) => b !== undefined).map((b) => b.digest));
    for (const digest of digests) size += content.find(digest)?.size ?? 0;
    const writing = record.data.mutable && record.refs > 0;
    if (!writing && record.data === before && this.#core.store.find(record.id) === record) {
      try {
        this.#core.store.update(record, { size });
      } catch (error) {
        // Whoever asks next counts again: on a full disk people ask.
        logger.debug('size of a record could not be saved', { id: record.id, error });
      }
    }
    return size;
  }
}
