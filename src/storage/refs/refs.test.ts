import assert from 'node:assert/strict';
import test from 'node:test';
import { parseFilters } from './filter.ts';
import { bytesToKeep, inOrderOfUse } from './prune.ts';

const fields =
  (values: Readonly<Record<string, string>>) =>
  (path: readonly string[]): string | undefined =>
    values[path.join('.')];

void test('filters are those of containerd', () => {
  const matches = (texts: string[], values: Readonly<Record<string, string>>): boolean =>
    parseFilters(texts, 'prune')(fields(values));
  const row = { id: 'abc', type: 'regular', inuse: '', description: 'pulled from x, y', 'labels.a b': '1' };
  assert.ok(matches([], row));
  assert.ok(matches(['id==abc,type==regular'], row));
  assert.ok(!matches(['id==abc,type==internal'], row));
  assert.ok(matches(['id==other', 'type!=internal'], row));
  assert.ok(matches(['inuse'], row));
  assert.ok(!matches(['shared'], row));
  assert.ok(matches(['description~=^pulled'], row));
  assert.ok(matches(['description=="pulled from x, y"'], row));
  assert.ok(matches(['description~=/x, y$/'], row));
  assert.ok(matches(['labels."a b"==1'], row));
  assert.throws(() => parseFilters(['id='], 'prune'), /failed to parse prune filters \[id=\]: filters: parse error/);
  assert.throws(() => parseFilters(['=='], 'prune'), /expected field or quoted/);
  assert.throws(() => parseFilters(['id~=('], 'diskusage'), /error compiling regexp/);
});

void test('how much may stay', () => {
  assert.equal(bytesToKeep(100, 0, {}), undefined);
  assert.equal(bytesToKeep(100, 0, { maxUsedSpace: 40 }), 40);
  assert.equal(bytesToKeep(100, 0, { reservedSpace: 30 }), 30);
  assert.equal(bytesToKeep(100, 20, { minFreeSpace: 10 }), 100);
  assert.equal(bytesToKeep(100, 20, { minFreeSpace: 50 }), 70);
  assert.equal(bytesToKeep(100, 20, { minFreeSpace: 50, maxUsedSpace: 60 }), 60);
  assert.equal(bytesToKeep(100, 0, { minFreeSpace: 90, maxUsedSpace: 60, reservedSpace: 30 }), 30);
});

void test('what was used longest ago and least often goes first', () => {
  const rows = [
    { id: 'often', lastUsedAt: 2n, usageCount: 9 },
    { id: 'late', lastUsedAt: 9n, usageCount: 2 },
    { id: 'never', usageCount: 0 },
    { id: 'early', lastUsedAt: 1n, usageCount: 1 },
  ];
  assert.deepEqual(
    inOrderOfUse(rows).map((row) => row.id),
    ['never', 'early', 'often', 'late'],
  );
});
