import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { walkOver } from './index.ts';

function tree(t: test.TestContext, paths: readonly string[]): string {
  const dir = mkdtempSync(join(tmpdir(), 'walk-over-'));
  t.after(() => rmSync(dir, { recursive: true }));
  for (const path of paths) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), path);
  }
  return dir;
}

void test('entries of two trees come in one order, and the upper one hides what has its path', (t) => {
  const lower = tree(t, ['a/x', 'b', 'c/y', 'd']);
  const upper = tree(t, ['0', 'a/w', 'b', 'c', 'z']);
  const walked = [...walkOver(lower, upper)].map(({ stat, root }) => `${root === upper ? '+' : ''}${stat.path}`);
  assert.deepEqual(walked, ['+0', '+a', '+a/w', 'a/x', '+b', '+c', 'd', '+z']);
  assert.deepEqual(
    [...walkOver(lower, undefined)].map(({ stat }) => stat.path),
    ['a', 'a/x', 'b', 'c', 'c/y', 'd'],
  );
});
