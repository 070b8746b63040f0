import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { openDatabase } from '../../metadata/index.ts';
import type { Database } from '../../metadata/index.ts';
import { createMemoryKeyStore } from '../../solver/index.ts';
import type { KeyStore } from '../../solver/index.ts';
import { openKeyStore } from './index.ts';

function temporary(t: test.TestContext): { path: string; db: Database } {
  const dir = mkdtempSync(join(tmpdir(), 'keys-'));
  const path = join(dir, 'buildkit.db');
  const db = openDatabase(path);
  t.after(async () => {
    await db.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return { path, db };
}

const LINK = { input: 0, output: 0, digest: 'sha256:d', selector: '' };

/** What both stores must do alike. */
function check(store: KeyStore): void {
  store.addLink('root', LINK, 'child');
  store.addLink('root', LINK, 'child');
  store.addLink('root', { ...LINK, selector: 'sel' }, 'other');
  store.addLink('child', LINK, 'leaf');
  const createdAt = 1_764_000_000_123_456_789n;
  store.addResult('leaf', { id: 'r1', createdAt });
  store.addResult('leaf', { id: 'r2', createdAt: 1n });
  store.addResult('other', { id: 'r1', createdAt });
  assert.deepEqual(store.links('root', LINK), ['child']);
  assert.deepEqual(store.links('root', { ...LINK, input: 1 }), []);
  assert.deepEqual(store.backlinks('leaf'), [{ key: 'child', link: LINK }]);
  assert.deepEqual(
    store.results('leaf').toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    [
      { id: 'r1', createdAt },
      { id: 'r2', createdAt: 1n },
    ],
  );
  assert.deepEqual(store.resultIds('', 10), ['r1', 'r2']);
  assert.deepEqual(store.resultIds('r1', 10), ['r2']);
  store.release('r1');
  assert.equal(store.exists('other'), false);
  assert.equal(store.exists('child'), true);
  store.release('r2');
  for (const key of ['leaf', 'child', 'root']) assert.equal(store.exists(key), false, key);
  assert.deepEqual(store.links('root', LINK), []);
}

void test('keys in memory', () => check(createMemoryKeyStore()));

void test('keys in the database', (t) => check(openKeyStore(temporary(t).db)));

void test('a transaction that fails leaves nothing; a damaged row is not there', (t) => {
  const { db } = temporary(t);
  const store = openKeyStore(db);
  assert.throws(() =>
    store.transaction(() => {
      store.addLink('root', LINK, 'child');
      throw new Error('no');
    }),
  );
  assert.equal(store.exists('root'), false);
  store.addResult('key', { id: 'good', createdAt: 5n });
  db.run("INSERT INTO key_result VALUES ('key', 'bad', 'yesterday')");
  assert.deepEqual(store.results('key'), [{ id: 'good', createdAt: 5n }]);
  db.run('DROP TABLE key_link');
  assert.deepEqual(store.links('key', LINK), []);
});

void test('what was written is there for the next daemon', async (t) => {
  const { path, db } = temporary(t);
  openKeyStore(db).addLink('root', LINK, 'child');
  await db.close();
  const again = openDatabase(path);
  assert.deepEqual(openKeyStore(again).links('root', LINK), ['child']);
  await again.close();
});
