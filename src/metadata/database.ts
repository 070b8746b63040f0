import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import { BuildError, Code, logger } from '../base/index.ts';
import { Checkpoints } from './checkpoints.ts';

export type SqlValue = null | number | bigint | string | Uint8Array;
export type Row = Readonly<Record<string, SqlValue>>;

export interface DatabaseOptions {
  /** Commits between checkpoints. */
  readonly checkpointEvery?: number;
}

export interface Database {
  readonly path: string;
  /** True when the file was damaged and is now `<path>.bak`: whoever has files beside the tables starts anew. */
  readonly wasReset: boolean;
  /**
   * Brings the tables of `folder` to the version `steps.length`: step n is SQL that makes version n + 1 of version n.
   * Steps that were released never change. Throws FailedPrecondition when the file is of a newer program.
   */
  register(folder: string, steps: readonly string[]): void;
  run(sql: string, ...values: SqlValue[]): number;
  /** The first row. INTEGER columns come as numbers; use TEXT for what does not fit into 53 bits. */
  find<T extends Row = Row>(sql: string, ...values: SqlValue[]): T | undefined;
  all<T extends Row = Row>(sql: string, ...values: SqlValue[]): T[];
  /** For large results; nothing else may be written while the loop runs. */
  iterate<T extends Row = Row>(sql: string, ...values: SqlValue[]): IterableIterator<T>;
  /** All or nothing. `work` is synchronous; a transaction within one joins it. */
  transaction<T>(work: () => T): T;
  /** Gives room that deletions left back to the file system, when it is worth it. */
  compact(): Promise<void>;
  close(): Promise<void>;
}

/** Fewer free pages than that (a megabyte) are used again soon: a thread for them would cost more. */
const WORTH_PAGES = 256;

/** Of the file's layout as a whole; each folder's tables have versions of their own. */
const LAYOUT = 1;

class SqliteDatabase implements Database {
  readonly path: string;
  readonly wasReset: boolean;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #checkpoints: Checkpoints;
  #depth = 0;
  #closed = false;

  constructor(path: string, db: DatabaseSync, wasReset: boolean, options: DatabaseOptions) {
    this.path = path;
    this.wasReset = wasReset;
    this.#db = db;
    this.#checkpoints = new Checkpoints(path, options.checkpointEvery ?? 2000);
  }

  register(folder: string, steps: readonly string[]): void {
    const row = this.find<{ version: number }>('SELECT version FROM folder_version WHERE folder = ?', folder);
    const from = row?.version ?? 0;
    if (from > steps.length) {
      throw new BuildError(
        Code.FailedPrecondition,
        `${this.path}: tables of ${folder} have version ${from}, newer than ${steps.length} of this program`,
      );
    }
    if (from === steps.length) return;
    this.transaction(() => {
      for (const step of steps.slice(from)) this.#db.exec(step);
      this.run('INSERT OR REPLACE INTO folder_version (folder, version) VALUES (?, ?)', folder, steps.length);
    });
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    return statement;
  }

  run(sql: string, ...values: SqlValue[]): number {
    const changes = Number(this.#statement(sql).run(...values).changes);
    if (this.#depth === 0) this.#checkpoints.committed();
    return changes;
  }

  find<T extends Row = Row>(sql: string, ...values: SqlValue[]): T | undefined {
    return this.#statement(sql).get(...values) as T | undefined;
  }

  all<T extends Row = Row>(sql: string, ...values: SqlValue[]): T[] {
    return this.#statement(sql).all(...values) as T[];
  }

  iterate<T extends Row = Row>(sql: string, ...values: SqlValue[]): IterableIterator<T> {
    return this.#statement(sql).iterate(...values) as unknown as IterableIterator<T>;
  }

  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    this.#db.exec('BEGIN IMMEDIATE');
    this.#depth++;
    let result: T;
    try {
      result = work();
      if (result instanceof Promise) throw new TypeError('a transaction cannot wait');
      this.#db.exec('COMMIT');
    } catch (error) {
      // A full disk may have rolled back already.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    } finally {
      this.#depth--;
    }
    this.#checkpoints.committed();
    return result;
  }

  async compact(): Promise<void> {
    const free = Number(this.find('PRAGMA freelist_count')?.['freelist_count']);
    if (free >= WORTH_PAGES) await this.#checkpoints.compact();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#checkpoints.close();
    this.#statements.clear();
    this.#db.close(); // the last connection checkpoints and removes the log
  }
}

function connect(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    // Must precede the first table, or it is ignored.
    db.exec('PRAGMA auto_vacuum = INCREMENTAL');
    db.exec('PRAGMA journal_mode = WAL');
    db.exec('PRAGMA synchronous = NORMAL');
    db.exec('PRAGMA busy_timeout = 10000');
    // Checkpoints fsync: they are made by a thread, see Checkpoints.
    db.exec('PRAGMA wal_autocheckpoint = 0');
    const check = db.prepare('PRAGMA quick_check(1)').get();
    if (check?.quick_check !== 'ok') throw new Error(`integrity check: ${String(check?.quick_check)}`);
    const version = Number(db.prepare('PRAGMA user_version').get()?.user_version);
    if (version > LAYOUT) {
      throw new BuildError(
        Code.FailedPrecondition,
        `${path}: layout ${version} is newer than ${LAYOUT} of this program`,
      );
    }
    if (version < LAYOUT) {
      db.exec(`BEGIN;
        CREATE TABLE folder_version (folder TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
        PRAGMA user_version = ${LAYOUT};
        COMMIT`);
    }
  } catch (error) {
    db.close();
    throw error;
  }
  return db;
}

/** SQLite's primary codes for a file that is not a sound database: SQLITE_CORRUPT and SQLITE_NOTADB. */
function isDamage(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode;
  if (code !== undefined) return (code & 0xff) === 11 || (code & 0xff) === 26;
  return error instanceof Error && error.message.startsWith('integrity check');
}

/**
 * Opens or makes the database. A damaged file is set aside as `<path>.bak` with a line in the log, and an empty one takes
 * its place: what it named is a cache. Other failures (a full disk, permissions) throw.
 */
export function openDatabase(path: string, options: DatabaseOptions = {}): Database {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  try {
    return new SqliteDatabase(path, connect(path), false, options);
  } catch (error) {
    if (!isDamage(error)) throw error;
    logger.error(`database ${path} is damaged and was reset; the old file is ${path}.bak`, { error });
  }
  for (const suffix of ['', '-wal', '-shm']) {
    rmSync(`${path}.bak${suffix}`, { force: true });
    if (existsSync(`${path}${suffix}`)) renameSync(`${path}${suffix}`, `${path}.bak${suffix}`);
  }
  return new SqliteDatabase(path, connect(path), true, options);
}
