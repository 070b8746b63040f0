import { DatabaseSync } from 'node:sqlite';
import { serveJobs } from '../base/index.ts';

/** Pages given back at a time: writers on the main thread wait for no longer than that takes. */
const STEP = 256;

function withConnection(path: string, work: (db: DatabaseSync) => void): void {
  const db = new DatabaseSync(path, { timeout: 10_000 });
  try {
    work(db);
  } finally {
    db.close();
  }
}

function freePages(db: DatabaseSync): number {
  return Number(db.prepare('PRAGMA freelist_count').get()?.freelist_count);
}

serveJobs({
  checkpoint: ({ path }: { path: string }) => withConnection(path, (db) => db.exec('PRAGMA wal_checkpoint(PASSIVE)')),
  compact: ({ path }: { path: string }) =>
    withConnection(path, (db) => {
      // A step may give back less than it was asked for when writers come between; none at all means that it is done.
      for (let before = freePages(db); before > 0;) {
        db.exec(`PRAGMA incremental_vacuum(${STEP})`);
        const after = freePages(db);
        if (after >= before) break;
        before = after;
      }
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    }),
});
