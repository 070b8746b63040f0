import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { mknod, setXattr } from '../../host/index.ts';
import { layerChanges, layerDirsOf, LayerTree, upperDirOf } from './index.ts';

const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root' };

function workDir(t: TestContext, files: readonly string[]): string {
  const dir = mkdtempSync(join(tmpdir(), 'tree-'));
  t.after(() => rmSync(dir, { recursive: true }));
  for (const path of files) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), path);
  }
  return dir;
}

void test('mounts as stacks of directories', () => {
  assert.deepEqual(layerDirsOf([]), []);
  assert.deepEqual(layerDirsOf([{ type: 'bind', source: '/a', options: ['rbind'] }]), ['/a']);
  const overlay = {
    type: 'overlay',
    source: 'overlay',
    options: ['upperdir=/u', 'workdir=/w', 'lowerdir=/b\\:x:/c', 'index=off'],
  };
  assert.deepEqual(layerDirsOf([overlay]), ['/u', '/b:x', '/c']);
  assert.equal(layerDirsOf([{ ...overlay, options: [...overlay.options, 'metacopy=on'] }]), undefined);
  assert.equal(upperDirOf(['/b'], ['/u', '/b']), '/u');
  assert.equal(upperDirOf(['/b'], ['/u', '/c']), undefined);
});

void test('the topmost layer wins, deletions and opaque folders hide what is below', asRoot, (t) => {
  const dir = workDir(t, [
    'low/d/a',
    'low/d/b',
    'low/o/hidden',
    'low/f/below',
    'top/d/b',
    'top/d/c',
    'top/o/x',
    'top/f',
  ]);
  mknod(join(dir, 'top/d/a'), 0o020000, 0, 0);
  setXattr(join(dir, 'top/o'), 'trusted.overlay.opaque', Buffer.from('y'));
  const tree = new LayerTree([join(dir, 'top'), join(dir, 'low')]);
  assert.equal(tree.lookup('d/a'), undefined);
  assert.equal(tree.lookup('d/b')?.real, join(dir, 'top/d/b'));
  assert.equal(tree.lookup('o/hidden'), undefined);
  assert.equal(tree.lookup('f/below'), undefined);
  const folder = tree.lookup('d')?.folder;
  assert.ok(folder !== undefined);
  assert.deepEqual(tree.names(folder), ['a', 'b', 'c']);
  const plain = new LayerTree([join(dir, 'top')]);
  assert.ok(plain.lookup('d/a')?.stat.isCharacterDevice(), 'one directory is no overlay');
});

void test('links are followed inside the root, across layers', (t) => {
  const dir = workDir(t, ['low/usr/lib/x', 'top/etc/f']);
  symlinkSync('/usr/lib', join(dir, 'top/lib'));
  symlinkSync('../../../../usr', join(dir, 'top/etc/up'));
  symlinkSync('loop', join(dir, 'top/loop'));
  const tree = new LayerTree([join(dir, 'top'), join(dir, 'low')]);
  assert.equal(tree.resolve('lib/x', true).path, 'usr/lib/x');
  assert.ok(tree.resolve('lib/x', true).entry?.stat.isFile());
  assert.equal(tree.resolve('/etc/up/lib/../lib/x', true).path, 'usr/lib/x');
  assert.equal(tree.resolve('lib', false).path, 'lib');
  assert.equal(tree.resolve('lib/none/below', true).path, 'usr/lib/none/below');
  assert.equal(tree.resolve('../../..', true).path, '');
  assert.equal(tree.lookup('lib/x'), undefined);
  assert.throws(() => tree.resolve('loop', true), /too many links/);
});

void test('changes come in the order of paths', (t) => {
  const dir = workDir(t, ['a/x/1', 'a/x-y', 'a/gone/deep/f', 'b/x/1', 'b/x/2', 'b/x-y', 'b/z']);
  const changes = [...layerChanges([join(dir, 'a')], [join(dir, 'b')])].map((c) => `${c.kind} ${c.path}`);
  assert.deepEqual(changes, ['delete gone', 'modify x/1', 'add x/2', 'modify x-y', 'add z']);
  const none = [...layerChanges([join(dir, 'a')], [join(dir, 'a')])];
  assert.deepEqual(none, []);
});
