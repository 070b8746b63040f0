import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { logger, randomId, ThreadPool, workerEntry } from '../../base/index.ts';
import type { SnapshotUsage } from './types.ts';

/**
 * The numbered folders of one snapshotter. A removed one is renamed into the trash at once, and deleted by a thread in
 * small batches: creating files right after a mass deletion is many times slower on ext4.
 */
export class SnapshotFolders {
  readonly #root: string;
  readonly #trash: string;
  readonly #threads = new ThreadPool(workerEntry(import.meta.url, 'snapshot-folder.worker'), { max: 1 });
  #deleting: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(root: string) {
    this.#root = root;
    this.#trash = join(root, 'trash');
    mkdirSync(this.#trash, { recursive: true, mode: 0o700 });
    if (readdirSync(this.#trash).length > 0) this.#empty();
  }

  path(id: number): string {
    return join(this.#root, String(id));
  }

  /** Numbers on the disk; anything else in the root is moved into the trash. */
  scan(): number[] {
    const ids: number[] = [];
    for (const name of readdirSync(this.#root)) {
      if (name === 'trash') continue;
      if (/^[1-9][0-9]{0,14}$/.test(name)) ids.push(Number(name));
      else this.#discard(join(this.#root, name));
    }
    return ids;
  }

  remove(id: number): void {
    this.#discard(this.path(id));
  }

  #discard(path: string): void {
    try {
      renameSync(path, join(this.#trash, randomId()));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        logger.warn('snapshot folder cannot be removed now, the next start tries again', { path, error });
      }
      return;
    }
    this.#empty();
  }

  #empty(): void {
    this.#deleting = this.#deleting.then(async () => {
      if (this.#closed) return;
      try {
        await this.#threads.call<void>('empty', { directory: this.#trash });
      } catch (error) {
        // What is left is deleted at the next start.
        if (!this.#closed) logger.warn('removed snapshots could not be deleted', { error });
      }
    });
  }

  drained(): Promise<void> {
    return this.#deleting;
  }

  usage(directories: readonly string[], signal: AbortSignal | undefined): Promise<SnapshotUsage> {
    return this.#threads.call<SnapshotUsage>('usage', { directories }, signal === undefined ? {} : { signal });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#threads.close();
    await this.#deleting;
  }
}
