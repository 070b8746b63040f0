import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { configureLog } from '../base/index.ts';
import { openDatabase } from './index.ts';

function temporary(t: test.TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'metadata-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 'buildkit.db');
}

const STEPS = ['CREATE TABLE thing (id TEXT PRIMARY KEY, body TEXT)'];

void test('steps run once, in order, and later ones on an existing file', async (t) => {
  const path = temporary(t);
  let db = openDatabase(path);
  db.register('things', STEPS);
  db.run('INSERT INTO thing VALUES (?, ?)', 'a', 'one');
  await db.close();
  db = openDatabase(path);
  db.register('things', [...STEPS, 'ALTER TABLE thing ADD COLUMN size INTEGER DEFAULT 7']);
  assert.deepEqual({ ...db.find('SELECT * FROM thing') }, { id: 'a', body: 'one', size: 7 });
  await db.close();
  db = openDatabase(path);
  assert.throws(() => db.register('things', STEPS), /newer/);
  await db.close();
});

void test('a transaction is all or nothing, also a nested one', async (t) => {
  const db = openDatabase(temporary(t));
  db.register('things', STEPS);
  assert.throws(() =>
    db.transaction(() => {
      db.run('INSERT INTO thing VALUES (?, ?)', 'a', 'one');
      db.transaction(() => db.run('INSERT INTO thing VALUES (?, ?)', 'b', 'two'));
      throw new Error('no');
    }),
  );
  assert.equal(db.all('SELECT * FROM thing').length, 0);
  assert.equal(
    db.transaction(() => db.run('INSERT INTO thing VALUES (?, ?)', 'a', 'one')),
    1,
  );
  await db.close();
});

void test('a damaged file is set aside and an empty database takes its place', async (t) => {
  const path = temporary(t);
  const lines: string[] = [];
  configureLog({ write: (line) => lines.push(line) });
  t.after(() => configureLog({ write: (line) => void process.stderr.write(line) }));
  writeFileSync(path, 'not a database at all, but long enough to be looked at'.repeat(100));
  const db = openDatabase(path);
  assert.equal(db.wasReset, true);
  db.register('things', STEPS);
  await db.close();
  assert.match(readFileSync(`${path}.bak`, 'latin1'), /^not a database/);
  assert.match(lines.join(''), /damaged/);
});

void test('damage in the middle of a file is found', async (t) => {
  const path = temporary(t);
  configureLog({ write: () => {} });
  t.after(() => configureLog({ write: (line) => void process.stderr.write(line) }));
  let db = openDatabase(path);
  db.register('things', STEPS);
  db.transaction(() => {
    for (let i = 0; i < 2000; i++) db.run('INSERT INTO thing VALUES (?, ?)', `id-${i}`, 'x'.repeat(100));
  });
  await db.close();
  const bytes = readFileSync(path);
  bytes.fill(0xa5, 4096 * 8, 4096 * 20);
  writeFileSync(path, bytes);
  db = openDatabase(path);
  assert.equal(db.wasReset, true);
  assert.ok(existsSync(`${path}.bak`));
  await db.close();
});

void test('the file shrinks after deletions', async (t) => {
  const path = temporary(t);
  const db = openDatabase(path);
  db.register('things', STEPS);
  db.transaction(() => {
    for (let i = 0; i < 5000; i++) db.run('INSERT INTO thing VALUES (?, ?)', `id-${i}`, 'x'.repeat(1000));
  });
  const full = statSync(path).size + statSync(`${path}-wal`).size;
  assert.ok(full > 4_000_000);
  db.run('DELETE FROM thing');
  await db.compact();
  assert.ok(statSync(path).size < 200_000, `${statSync(path).size}`);
  assert.ok(statSync(`${path}-wal`).size < 100_000);
  await db.close();
});
