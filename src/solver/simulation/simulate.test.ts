import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { configureLog } from '../../base/index.ts';
import { simulate } from './simulate.ts';

/** Of a run in CI; a long one is `npm run simulate`. */
const SEEDS = 150;

/** Seeds that once went wrong, and what they found. */
const FOUND: readonly [seed: number, what: string][] = [
  [187, 'consumers were saved under one of the keys by which their input can be found'],
  [337, 'the same, of an input without inputs that has two keys'],
  [378, 'an edge that was merged into another took the key with it by which it is found'],
  [64555, 'a vertex ran again while its run for somebody who had left was still being stopped'],
  [1134, 'of two starts that overlap the one that ended last was shown first, and the other never ended'],
];

// Faults of caches are part of the story.
before(() => configureLog({ level: 'panic' }));
after(() => configureLog({ level: 'info' }));

for (const [seed, what] of FOUND) void test(`seed ${seed}: ${what}`, async () => void (await simulate(seed)));

void test('every request ends, nothing runs twice, nothing is left, results are those of a build alone', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await simulate(seed);
});

void test('a seed tells the same story each time', async () => {
  assert.deepEqual(await simulate(42), await simulate(42));
});
