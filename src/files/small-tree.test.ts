import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { isSmallTree } from './small-tree.ts';

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'small-tree-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test('few files with few bytes are a small tree', (t) => {
  const root = folder(t);
  assert.equal(isSmallTree(root, []), true);
  mkdirSync(join(root, 'a/b'), { recursive: true });
  writeFileSync(join(root, 'a/b/file'), 'x');
  assert.equal(isSmallTree(root, []), true);
  writeFileSync(join(root, 'a/large'), '');
  truncateSync(join(root, 'a/large'), (1 << 20) + 1);
  assert.equal(isSmallTree(root, []), false);
});

test('many files are not, wherever they lie', (t) => {
  const root = folder(t);
  for (const name of ['a', 'b']) {
    mkdirSync(join(root, name));
    for (let i = 0; i < 33; i++) writeFileSync(join(root, name, `f${i}`), '');
  }
  assert.equal(isSmallTree(root, []), false);
  assert.equal(isSmallTree(root, ['a']), true);
});

test('of followed paths only those count, and links may lead anywhere', (t) => {
  const root = folder(t);
  for (let i = 0; i < 99; i++) writeFileSync(join(root, `f${i}`), '');
  symlinkSync('f1', join(root, 'link'));
  assert.equal(isSmallTree(root, ['f1', 'f2', 'absent']), true);
  assert.equal(isSmallTree(root, ['f1', 'link']), false);
  assert.equal(isSmallTree(root, ['f*']), false);
  assert.equal(isSmallTree(join(root, 'absent'), []), true);
});

void test('whoever has time may say what is small', (t) => {
  const root = folder(t);
  for (let i = 0; i < 99; i++) writeFileSync(join(root, `f${i}`), '');
  truncateSync(join(root, 'f1'), 2 << 20);
  assert.equal(isSmallTree(root, []), false);
  assert.equal(isSmallTree(root, [], { entries: 100, bytes: 2 << 20 }), true);
  assert.equal(isSmallTree(root, [], { entries: 99, bytes: 2 << 20 }), false);
  assert.equal(isSmallTree(root, [], { entries: 100, bytes: (2 << 20) - 1 }), false);
});
