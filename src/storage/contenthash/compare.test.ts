import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { ContentChange } from '../../solver/types.ts';
import type { ContentSelector, ImmutableRef } from '../types.ts';
import { createTreeHasher } from './index.ts';

interface Fixture {
  readonly tree: string;
  readonly memory: string;
  /** As after a build that made the ref anew from the tree as it is. */
  compare(
    selectors: readonly ContentSelector[],
    options?: { step?: string; twin?: string },
  ): Promise<ContentChange | undefined>;
}

function setUp(t: TestContext): Fixture {
  const top = mkdtempSync(join(tmpdir(), 'compare-'));
  const tree = join(top, 'tree');
  mkdirSync(join(tree, 'src'), { recursive: true });
  for (const name of ['a.ts', 'b.ts', 'run.sh']) writeFileSync(join(tree, 'src', name), name, { mode: 0o664 });
  chmodSync(join(tree, 'src/run.sh'), 0o664);
  symlinkSync('a.ts', join(tree, 'src/link'));
  let twin: string | undefined;
  const hasher = createTreeHasher({ directory: join(top, 'digests'), keyOf: (ref) => twin ?? ref.id });
  t.after(async () => {
    await hasher.close();
    rmSync(top, { recursive: true });
  });
  let count = 0;
  return {
    tree,
    memory: join(top, 'digests/seen'),
    async compare(selectors, options = {}) {
      twin = options.twin;
      const ref = {
        id: `r${count++}`,
        unlazy: async () => {},
        mounts: async () => ({
          mounts: [{ type: 'bind', source: tree, options: ['rbind', 'ro'] }],
          release: async () => {},
        }),
      } as unknown as ImmutableRef;
      const step = options.step ?? 'COPY src/ /app';
      return hasher.compare(ref, selectors, step, {});
    },
  };
}

const all = [{ path: '/src', followLinks: true }];

void test('what differs from the last time is told by path, and how', async (t) => {
  const f = setUp(t);
  assert.equal(await f.compare(all), undefined, 'the first time there is nothing to compare with');
  assert.deepEqual(await f.compare(all), { total: 0, lines: [] });
  writeFileSync(join(f.tree, 'src/a.ts'), 'other');
  chmodSync(join(f.tree, 'src/run.sh'), 0o755);
  rmSync(join(f.tree, 'src/b.ts'));
  writeFileSync(join(f.tree, 'src/new'), '');
  rmSync(join(f.tree, 'src/link'));
  mkdirSync(join(f.tree, 'src/link'));
  assert.deepEqual(await f.compare(all), {
    total: 5,
    lines: [
      'src/a.ts content',
      'src/b.ts removed',
      'src/link symlink→folder',
      'src/new added',
      'src/run.sh mode 0664→0755',
    ],
  });
  assert.deepEqual(await f.compare(all), { total: 0, lines: [] }, 'the last time counts');
});

void test('only what the step reads counts', async (t) => {
  const f = setUp(t);
  const some = [{ path: '/', includePatterns: ['src/*.ts'], excludePatterns: ['src/b.ts'] }];
  await f.compare(some);
  writeFileSync(join(f.tree, 'src/b.ts'), 'changed');
  writeFileSync(join(f.tree, 'src/run.sh'), 'changed');
  assert.deepEqual(await f.compare(some), { total: 0, lines: [] });
  writeFileSync(join(f.tree, 'src/a.ts'), 'changed');
  assert.deepEqual(await f.compare(some), { total: 1, lines: ['src/a.ts content'] });
});

void test('steps, and the folders of several clients, are kept apart', async (t) => {
  const f = setUp(t);
  await f.compare(all, { twin: 'one' });
  assert.equal(await f.compare(all, { twin: 'two' }), undefined);
  assert.equal(await f.compare(all, { step: 'COPY src/ /elsewhere', twin: 'one' }), undefined);
  assert.deepEqual(await f.compare(all, { twin: 'one' }), { total: 0, lines: [] });
});

void test('a torn memory is none, and many differences are counted, not all told', async (t) => {
  const f = setUp(t);
  await f.compare(all);
  for (const name of readdirSync(f.memory)) truncateSync(join(f.memory, name), 10);
  assert.equal(await f.compare(all), undefined);
  for (let i = 0; i < 200; i++) writeFileSync(join(f.tree, 'src', `f${i}`), '');
  const change = await f.compare(all);
  assert.equal(change?.total, 200);
  assert.equal(change?.lines.length, 50);
});
