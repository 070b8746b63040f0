import assert from 'node:assert/strict';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { getXattr, mknod } from '../../host/index.ts';
import { LayerTree } from '../tree/index.ts';
import { applyMerge } from './index.ts';

const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root' };

function workDir(t: TestContext, files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(tmpdir(), 'merge-'));
  t.after(() => rmSync(dir, { recursive: true }));
  for (const [path, data] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    if (path.endsWith('/')) mkdirSync(join(dir, path), { recursive: true });
    else writeFileSync(join(dir, path), data);
  }
  mkdirSync(join(dir, 'target'));
  return dir;
}

/** Every path with its data as the stack shows it. */
function shown(layers: readonly string[]): Record<string, string> {
  const tree = new LayerTree(layers);
  const found: Record<string, string> = {};
  const visit = (path: string): void => {
    const entry = tree.lookup(path);
    if (entry?.folder === undefined) {
      if (entry !== undefined) found[path] = readFileSync(entry.real, 'utf8');
      return;
    }
    const names = tree.names(entry.folder);
    for (const name of names) visit(path === '' ? name : `${path}/${name}`);
  };
  visit('');
  return found;
}

for (const link of [true, false]) {
  void test(`plain: the last change wins, deletions only of what is there${link ? ', files are shared' : ''}`, async (t) => {
    const dir = workDir(t, {
      'a/d/x': 'a',
      'a/d/gone': 'a',
      'a/turns': 'file',
      'b/d/x': 'b',
      'b/turns/into': 'dir',
      'c/d/gone': '',
      'e/d/': '',
    });
    const at = (name: string): string => join(dir, name);
    const usage = await applyMerge({
      diffs: [
        { lower: [], upper: [at('a')], link },
        { lower: [], upper: [at('b')], link },
        { lower: [at('c')], upper: [at('e')], link },
      ],
      target: at('target'),
      style: 'plain',
      lower: [],
    });
    assert.deepEqual(shown([at('target')]), { 'd/x': 'b', 'turns/into': 'dir' });
    const shared = lstatSync(at('target/d/x')).ino === lstatSync(at('b/d/x')).ino;
    assert.equal(shared, link);
    assert.equal(usage.inodes, link ? 3 : 5);
  });
}

void test(
  'overlay: deletions become whiteouts where they hide something, folders in place of files hide what is below',
  asRoot,
  async (t) => {
    const dir = workDir(t, {
      'base/f': 'f',
      'base/keep/k': 'k',
      'base/was/inside': 'i',
      'l/f': '',
      'l/never': '',
      'u/': '',
      'one/was': 'file',
      'two/was/new': 'n',
    });
    const at = (name: string): string => join(dir, name);
    await applyMerge({
      diffs: [
        { lower: [at('l')], upper: [at('u')], link: true },
        { lower: [], upper: [at('one')], link: true },
        { lower: [], upper: [at('two')], link: true },
      ],
      target: at('target'),
      style: 'overlay',
      lower: [at('base')],
    });
    const whiteout = lstatSync(at('target/f'));
    assert.ok(whiteout.isCharacterDevice() && whiteout.rdev === 0);
    assert.deepEqual(readdirSync(at('target')).sort(), ['f', 'was']);
    assert.equal(Buffer.from(getXattr(at('target/was'), 'trusted.overlay.opaque') ?? []).toString(), 'y');
    assert.deepEqual(shown([at('target'), at('base')]), { 'keep/k': 'k', 'was/new': 'n' });
  },
);

void test('an overlay layer is read from its own directory', asRoot, async (t) => {
  const dir = workDir(t, { 'base/a/b/f': 'f', 'base/gone': 'g', 'top/a/b/new': 'n' });
  const at = (name: string): string => join(dir, name);
  mknod(at('top/gone'), 0o020000, 0, 0);
  utimesSync(at('top/a/b'), 700, 700);
  const diff = { lower: [at('base')], upper: [at('top'), at('base')], link: true };
  await applyMerge({ diffs: [diff], target: at('target'), style: 'plain', lower: [] });
  assert.deepEqual(shown([at('target')]), { 'a/b/new': 'n' });
  assert.equal(statSync(at('target/a/b')).mtimeMs, 700_000, 'folders get their times last');
});
