import { logger } from '../../base/index.ts';
import type { TimeNs } from '../../base/index.ts';
import type { Database } from '../../metadata/index.ts';
import { BuildHistoryRecord } from '../../proto/control.pb.ts';
import type { Descriptor } from '../../proto/control.pb.ts';
import { fromTimestamp } from './wire-time.ts';

const TABLES = [`CREATE TABLE history_record (ref TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID`];

/** What is asked of all records at once; the rest stays on disk, for a record holds whatever a client sent. */
export interface RecordSummary {
  readonly ref: string;
  readonly createdAt: TimeNs;
  readonly completedAt: TimeNs;
  readonly pinned: boolean;
  /** Digests of all blobs that it names. */
  readonly blobs: readonly string[];
}

/** Builds that ended, by ref. They are read when somebody first asks for all: a daemon that starts has other things to do. */
export class RecordTable {
  readonly #db: Database;
  readonly #hasBlob: (digest: string) => boolean;
  #read: Map<string, RecordSummary> | undefined;

  /** Rows that cannot be read, and those whose log is gone according to `hasBlob`, are dropped. */
  constructor(db: Database, hasBlob: (digest: string) => boolean) {
    this.#db = db;
    this.#hasBlob = hasBlob;
    db.register('history', TABLES);
  }

  get #summaries(): Map<string, RecordSummary> {
    return (this.#read ??= this.#readAll());
  }

  #readAll(): Map<string, RecordSummary> {
    const db = this.#db;
    const summaries = new Map<string, RecordSummary>();
    const dropped: string[] = [];
    for (const row of db.iterate<{ ref: string; record: Uint8Array }>('SELECT ref, record FROM history_record')) {
      const record = decode(row.ref, row.record);
      if (record === undefined) {
        dropped.push(row.ref);
      } else if (!this.#isWhole(record)) {
        logger.warn(`deleting build record ${row.ref} due to missing blobs`);
        dropped.push(row.ref);
      } else {
        summaries.set(row.ref, summarize(record));
      }
    }
    db.transaction(() => {
      for (const ref of dropped) db.run('DELETE FROM history_record WHERE ref = ?', ref);
    });
    return summaries;
  }

  has(ref: string): boolean {
    return this.#summaries.has(ref);
  }

  summaries(): RecordSummary[] {
    return [...this.#summaries.values()];
  }

  /** Does not need the others: every client asks it for a build that it is about to start. */
  find(ref: string): BuildHistoryRecord | undefined {
    if (this.#read?.has(ref) === false) return undefined;
    const row = this.#db.find<{ record: Uint8Array }>('SELECT record FROM history_record WHERE ref = ?', ref);
    const record = row && decode(ref, row.record);
    return record !== undefined && this.#isWhole(record) ? record : undefined;
  }

  #isWhole({ logs }: BuildHistoryRecord): boolean {
    return logs === undefined || this.#hasBlob(logs.digest);
  }

  put(record: BuildHistoryRecord): void {
    const bytes = BuildHistoryRecord.encode(record).finish();
    this.#db.run('INSERT OR REPLACE INTO history_record (ref, record) VALUES (?, ?)', record.Ref, bytes);
    this.#read?.set(record.Ref, summarize(record));
  }

  delete(ref: string): void {
    this.#db.run('DELETE FROM history_record WHERE ref = ?', ref);
    this.#summaries.delete(ref);
  }
}

function decode(ref: string, bytes: Uint8Array): BuildHistoryRecord | undefined {
  try {
    const record = BuildHistoryRecord.decode(bytes);
    if (record.Ref !== ref) throw new Error(`it is of ref ${record.Ref}`);
    return record;
  } catch (error) {
    logger.warn(`failed to unmarshal build record ${ref}`, { error });
    return undefined;
  }
}

function summarize(record: BuildHistoryRecord): RecordSummary {
  return {
    ref: record.Ref,
    createdAt: fromTimestamp(record.CreatedAt),
    completedAt: fromTimestamp(record.CompletedAt),
    pinned: record.pinned,
    blobs: [...namedBlobs(record)].map((descriptor) => descriptor.digest),
  };
}

function* namedBlobs(record: BuildHistoryRecord): Generator<Descriptor> {
  for (const one of [record.logs, record.trace, record.externalError]) if (one !== undefined) yield one;
  for (const info of [record.Result, ...record.Results.values()]) {
    if (info === undefined) continue;
    if (info.ResultDeprecated !== undefined) yield info.ResultDeprecated;
    yield* info.Attestations;
    yield* info.Results.values();
  }
}
