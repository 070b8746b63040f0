import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collector } from './memory-trimmer.ts';

const SIZE = 2 << 20;

function leaveBehind(): void {
  for (let i = 0; i < 8; i++) new Uint8Array(SIZE / 8).fill(1);
}

void test('what is young and of no use goes when it is told to, with the memory outside of the heap', () => {
  const collect = collector();
  const before = process.memoryUsage().arrayBuffers;
  leaveBehind();
  // The second time it has what the first one's thread has freed.
  collect({ type: 'minor' });
  collect({ type: 'minor' });
  assert.ok(process.memoryUsage().arrayBuffers < before + SIZE / 2);
  assert.equal((globalThis as { gc?: unknown }).gc, undefined, 'nobody else is given it');
});
