import assert from 'node:assert/strict';
import test from 'node:test';
import { RecentIds } from './recent-ids.ts';

void test('an id is taken once, and forgotten after its time', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const ids = new RecentIds({ lifetimeMs: 1000 });
  ids.add('a');
  ids.add('b');
  assert.equal(ids.take('a'), true);
  assert.equal(ids.take('a'), false);
  t.mock.timers.tick(999);
  ids.add('c');
  t.mock.timers.tick(1);
  assert.equal(ids.take('b'), false);
  assert.equal(ids.take('c'), true);
});

void test('clients choose how many there are and how long: the oldest go, the monstrous never enter', () => {
  const ids = new RecentIds({ lifetimeMs: 1 << 30, limit: 3 });
  for (const id of ['a', 'b', 'a', 'c', 'd', 'x'.repeat(10_000)]) ids.add(id);
  assert.deepEqual(
    ['b', 'a', 'c', 'd', 'x'.repeat(10_000)].map((id) => ids.take(id)),
    [false, true, true, true, false],
  );
  ids.clear();
});
