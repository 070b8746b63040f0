import { logger } from '../../base/index.ts';
import type { Database } from '../../metadata/index.ts';
import type { KeyLink, KeyStore } from '../../solver/types.ts';

/** Times are text: nanoseconds do not fit into a number. */
const STEPS = [
  `CREATE TABLE key_result (key TEXT NOT NULL, result TEXT NOT NULL, created_at TEXT NOT NULL,
     PRIMARY KEY (key, result)) WITHOUT ROWID;
   CREATE INDEX key_result_by_result ON key_result (result);
   CREATE TABLE key_link (parent TEXT NOT NULL, digest TEXT NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,
     selector TEXT NOT NULL, target TEXT NOT NULL,
     PRIMARY KEY (parent, digest, input, output, selector, target)) WITHOUT ROWID;
   CREATE INDEX key_link_by_target ON key_link (target);`,
];

/** A read that fails is a miss: the cache must never fail a build. */
function orNothing<T>(nothing: T, read: () => T): T {
  try {
    return read();
  } catch (error) {
    logger.warn('cache keys could not be read', { error });
    return nothing;
  }
}

export function openKeyStore(db: Database): KeyStore {
  db.register('keys', STEPS);

  const isUsed = (key: string): boolean =>
    db.find('SELECT 1 AS used FROM key_result WHERE key = ?', key) !== undefined ||
    db.find('SELECT 1 AS used FROM key_link WHERE parent = ?', key) !== undefined;

  const dropUnused = (keys: string[]): void => {
    for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
      if (isUsed(key)) continue;
      const parents = db.all<{ parent: string }>('SELECT DISTINCT parent FROM key_link WHERE target = ?', key);
      db.run('DELETE FROM key_link WHERE target = ?', key);
      for (const { parent } of parents) keys.push(parent);
    }
  };

  return {
    exists: (key) => orNothing(false, () => isUsed(key)),
    links: (key, { input, output, digest, selector }) =>
      orNothing([], () =>
        db
          .all<{
            target: string;
          }>(
            'SELECT target FROM key_link WHERE parent = ? AND digest = ? AND input = ? AND output = ? AND selector = ?',
            key,
            digest,
            input,
            output,
            selector,
          )
          .map((row) => row.target),
      ),
    addLink(key, { input, output, digest, selector }, target) {
      db.run(
        'INSERT OR IGNORE INTO key_link (parent, digest, input, output, selector, target) VALUES (?, ?, ?, ?, ?, ?)',
        key,
        digest,
        input,
        output,
        selector,
        target,
      );
    },
    backlinks: (key) =>
      orNothing([], () =>
        db
          .all<{ parent: string } & { [K in keyof KeyLink]: KeyLink[K] }>(
            'SELECT * FROM key_link WHERE target = ?',
            key,
          )
          .map(({ parent, input, output, digest, selector }) => ({
            key: parent,
            link: { input, output, digest, selector },
          })),
      ),
    results: (key) =>
      orNothing([], () =>
        db
          .all<{ result: string; created_at: string }>('SELECT result, created_at FROM key_result WHERE key = ?', key)
          .filter((row) => /^\d{1,20}$/.test(row.created_at))
          .map((row) => ({ id: row.result, createdAt: BigInt(row.created_at) })),
      ),
    addResult(key, result) {
      db.run(
        'INSERT OR REPLACE INTO key_result (key, result, created_at) VALUES (?, ?, ?)',
        key,
        result.id,
        result.createdAt.toString(),
      );
    },
    resultIds: (after, limit) =>
      orNothing([], () =>
        db
          .all<{
            result: string;
          }>('SELECT DISTINCT result FROM key_result WHERE result > ? ORDER BY result LIMIT ?', after, limit)
          .map((row) => row.result),
      ),
    release(resultId) {
      db.transaction(() => {
        const keys = db.all<{ key: string }>('SELECT key FROM key_result WHERE result = ?', resultId);
        db.run('DELETE FROM key_result WHERE result = ?', resultId);
        dropUnused(keys.map((row) => row.key));
      });
    },
    transaction: (work) => db.transaction(work),
  };
}
