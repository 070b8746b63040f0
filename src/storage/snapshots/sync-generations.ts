import { logger } from '../../base/index.ts';
import type { Database } from '../../metadata/index.ts';

const TABLES = ['CREATE TABLE storage_sync (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID'];

/**
 * Snapshots are not synced one by one. Each carries the generation of its last writes; a generation is on the disk once a
 * syncfs that began after it has returned. After a boot that no clean end came before, snapshots of later generations may
 * miss files and are dropped. (A killed daemon loses nothing: the kernel has its writes.)
 */
export class SyncGenerations {
  readonly #db: Database;
  readonly #bootId: string;
  /** Everything up to it is on the disk. */
  readonly safeAtStart: number;
  #current: number;
  #dirty = false;

  constructor(db: Database, bootId: string) {
    this.#db = db;
    this.#bootId = bootId;
    db.register('storage-sync', TABLES);
    const synced = Number(this.#read('synced') ?? '0');
    this.#current = Number(this.#read('current') ?? '1');
    const trusted = this.#read('boot') === bootId || this.#read('clean') === 'yes' || this.#read('boot') === undefined;
    this.safeAtStart = trusted ? Number.MAX_SAFE_INTEGER : synced;
    if (!trusted) this.#current++;
    db.transaction(() => {
      this.#write('boot', bootId);
      this.#write('clean', 'no');
      this.#write('current', String(this.#current));
    });
  }

  #read(name: string): string | undefined {
    return this.#db.find<{ value: string }>('SELECT value FROM storage_sync WHERE name = ?', name)?.value;
  }

  #write(name: string, value: string): void {
    this.#db.run('INSERT OR REPLACE INTO storage_sync (name, value) VALUES (?, ?)', name, value);
  }

  /** What a snapshot written to now is marked with. */
  current(): number {
    this.#dirty = true;
    return this.#current;
  }

  /**
   * Makes everything written so far safe; false when the file system could not be synced. `stillOpen` re-marks the snapshots
   * that go on being written.
   */
  async sync(syncFileSystem: () => Promise<void>, stillOpen: () => void): Promise<boolean> {
    if (!this.#dirty) return true;
    this.#dirty = false;
    const before = this.#current;
    this.#current = before + 1;
    this.#db.transaction(() => {
      this.#write('current', String(this.#current));
      stillOpen();
    });
    try {
      await syncFileSystem();
    } catch (error) {
      this.#dirty = true;
      logger.warn('file system could not be synced', { error });
      return false;
    }
    this.#write('synced', String(before));
    return true;
  }

  /** Everything was synced and nothing is written any more. */
  ended(): void {
    this.#write('synced', String(this.#current));
    this.#write('boot', this.#bootId);
    this.#write('clean', 'yes');
  }
}
