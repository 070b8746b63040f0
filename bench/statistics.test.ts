import assert from 'node:assert/strict';
import test from 'node:test';
import { median, medianOf, medianRatio } from './statistics.ts';
import type { Sample } from './statistics.ts';

test('the median is the middle, or half way between the two in the middle', () => {
  assert.equal(median([3]), 3);
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([10, 2, 8, 4]), 6);
  assert.throws(() => median([]), RangeError);
});

test('figures that only some rounds measured', () => {
  const samples: Sample[] = [{ cold: 4, cached: 1 }, { cold: 6 }, { cold: 5 }];
  assert.equal(medianOf(samples, 'cold'), 5);
  assert.equal(medianOf(samples, 'cached'), 1);
  assert.equal(medianOf(samples, 'absent'), undefined);
});

test('ratios are taken round by round', () => {
  // The second round met a busy machine: both took ten times as long.
  const ours = [{ s: 1 }, { s: 10 }, { s: 1 }];
  const theirs = [{ s: 2 }, { s: 20 }, { s: 2 }];
  assert.equal(medianRatio(ours, theirs, 's'), 0.5);
  assert.equal(medianRatio(ours, theirs.slice(0, 1), 's'), 0.5);
  assert.equal(medianRatio(ours, [{ s: 0 }], 's'), undefined);
  assert.equal(medianRatio(ours, [], 's'), undefined);
});
