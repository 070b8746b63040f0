import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { tarSumHeader } from '../../archive/index.ts';
import { createHash } from 'node:crypto';
import type { TreeChange } from '../../files/types.ts';
import type { ContentSelector, ImmutableRef } from '../types.ts';
import { createTreeHasher } from './index.ts';
import type { TreeHasher } from './index.ts';

/** Upstream's own expectations (cache/contenthash/checksum_test.go): digests that may never change. */
const FILE_DATA0 = 'sha256:cd8e75bca50f2d695f220d0cb0997d8ead387e4f926e8669a92d7f104cc9885b';
const DIR_D0 = 'sha256:d47454417d2c554067fbefe5f5719edc49f3cfe969c36b62e34a187a4da0cc9a';
const DIR_D0_FILE_BY_FILE = 'sha256:6b612ad5c13159112ae26357ef7bd34df29916941ba40ec2ce38dfb70c6c60c3';
const DIR_D0_MODIFIED = 'sha256:555ffa3028630d97ba37832b749eda85ab676fd64ffb629fbf0f4ec8c1e3bff1';
const DOUBLE_STAR = 'sha256:aa7448215bbf5b837b35ce64467857d8b9747965573d14d4b31b370586370971';
const EMPTY = `sha256:${createHash('sha256').digest('hex')}`;

/** The digests cover owners: upstream's were made by root. */
const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root' };

function fill(root: string, lines: readonly string[]): void {
  for (const line of lines) {
    const [path, kind, data = ''] = line.split(' ') as [string, string, string?];
    const at = join(root, path);
    mkdirSync(dirname(at), { recursive: true });
    if (kind === 'dir') {
      mkdirSync(at, { recursive: true });
      chmodSync(at, 0o755);
    } else if (kind === 'symlink') symlinkSync(data, at);
    else if (kind === 'link') linkSync(join(root, data), at);
    else {
      writeFileSync(at, data);
      chmodSync(at, 0o644);
    }
  }
}

interface Fixture {
  readonly dir: string;
  readonly hasher: TreeHasher;
  sum(path: string, selector?: Omit<ContentSelector, 'path'>): Promise<string>;
  /** Files of the ref that were asked for. */
  mounted: number;
}

function fakeRef(id: string, layers: readonly string[], onMount: () => void): ImmutableRef {
  const mounts =
    layers.length === 1
      ? [{ type: 'bind', source: layers[0], options: ['rbind', 'ro'] }]
      : [{ type: 'overlay', source: 'overlay', options: [`lowerdir=${layers.join(':')}`] }];
  const ref = {
    id,
    unlazy: async () => {},
    mounts: async () => {
      onMount();
      return { mounts, release: async () => {} };
    },
  };
  return ref as unknown as ImmutableRef;
}

function setUp(t: TestContext, lines: readonly string[]): Fixture {
  const top = mkdtempSync(join(tmpdir(), 'hash-'));
  const dir = join(top, 'tree');
  mkdirSync(dir);
  chmodSync(dir, 0o755);
  fill(dir, lines);
  const hasher = createTreeHasher({ directory: join(top, 'digests') });
  t.after(async () => {
    await hasher.close();
    rmSync(top, { recursive: true });
  });
  const fixture: Fixture = {
    dir: top,
    hasher,
    mounted: 0,
    sum: (path, selector = { followLinks: true }) =>
      hasher.checksum(
        fakeRef('one', [dir], () => fixture.mounted++),
        path,
        selector,
        {},
      ),
  };
  return fixture;
}

void test('files and folders have the digests that upstream gives them', asRoot, async (t) => {
  const f = setUp(t, [
    'foo file data0',
    'bar file data1',
    'd0 dir',
    'd0/abc file data0',
    'd0/def symlink abc',
    'd0/ghi symlink nosuchfile',
  ]);
  assert.equal(await f.sum('foo'), FILE_DATA0);
  assert.equal(await f.sum('bar'), 'sha256:c2b5e234f5f38fc5864da7def04782f82501a40d46192e4207d5b3f0c3c4732b');
  assert.equal(await f.sum('d0/abc'), FILE_DATA0);
  assert.equal(await f.sum('/d0/def'), FILE_DATA0, 'a link is followed');
  assert.equal(await f.sum('d0'), DIR_D0);
  assert.equal(await f.sum('/'), 'sha256:427c9cf9ae98c0f81fb57a3076b965c7c149b6b0a85625ad4e884236649a42c6');
  await assert.rejects(f.sum('d0/ghi'), { code: 5, message: '"/d0/ghi": not found' });
  await assert.rejects(f.sum('nosuch'), { code: 5, message: '"/nosuch": not found' });
});

void test('what was found out is kept in files, over restarts, and files are not asked again', async (t) => {
  const f = setUp(t, ['foo file data0', 'd0 dir', 'd0/abc file data0']);
  const before = await f.sum('d0');
  assert.equal(f.mounted, 1);
  assert.equal(await f.sum('d0'), before);
  assert.equal(f.mounted, 1);
  const again = createTreeHasher({ directory: join(f.dir, 'digests') });
  const noFiles = fakeRef('one', [], () => assert.fail('files were asked for'));
  assert.equal(await again.checksum(noFiles, 'd0', { followLinks: true }, {}), before);
  await assert.rejects(again.checksum(noFiles, 'd0/none', {}, {}), { code: 5 });
  await again.close();
  const [name] = readdirSync(join(f.dir, 'digests'));
  appendFileSync(join(f.dir, 'digests', name as string), 'torn');
  const torn = createTreeHasher({ directory: join(f.dir, 'digests') });
  const ref = fakeRef('one', [join(f.dir, 'tree')], () => f.mounted++);
  assert.equal(await torn.checksum(ref, 'd0', { followLinks: true }, {}), before);
  assert.equal(f.mounted, 2);
  await torn.close();
});

void test('wildcards match names, and their digests cover files one by one', asRoot, async (t) => {
  const f = setUp(t, [
    'bar file data1',
    'foo file data0',
    'fox file data2',
    'x dir',
    'x/d0 dir',
    'x/d0/abc file data0',
    'x/d0/def symlink abc',
    'x/d0/ghi symlink nosuchfile',
    'y1 symlink foo',
    'y2 symlink fox',
  ]);
  const one = createHash('sha256').update(`\0foo${FILE_DATA0}`).digest('hex');
  assert.equal(await f.sum('f*o', { wildcard: true }), `sha256:${one}`);
  assert.equal(
    await f.sum('f*', { wildcard: true }),
    'sha256:0b6731924f0a32a812bf8a729202e55e54ded331f9e4ff2397f681e43694e086',
  );
  assert.equal(await f.sum('x/d?', { wildcard: true }), DIR_D0_FILE_BY_FILE);
  assert.equal(await f.sum('x/d?/def', { wildcard: true, followLinks: true }), FILE_DATA0);
  assert.equal(
    await f.sum('y*', { wildcard: true, followLinks: true }),
    'sha256:982153600b9653a1decb0f961e09e2bc1be335cfcaac9b39dbd1120b65fdf92c',
  );
  assert.equal(await f.sum('foo', { wildcard: true }), FILE_DATA0);
  assert.equal(await f.sum('none*', { wildcard: true }), EMPTY);
  await assert.rejects(f.sum('[', { wildcard: true }), /syntax error in pattern/);
});

void test('links are digested as they are, unless they are to be followed', asRoot, async (t) => {
  const f = setUp(t, [
    'target file data0',
    'sym symlink target',
    'sym2 symlink target2',
    'foo dir',
    'foo/ghi symlink target',
    'y1 symlink foo/ghi',
  ]);
  const sym = 'sha256:a2ba571981f48ec34eb79c9a3ab091b6491e825c2f7e9914ea86e8e958be7fae';
  const broken = 'sha256:9b761577efcb1239cf4be971914c5d7404914dd32ff436401af1764dc5446b83';
  assert.equal(await f.sum('sym', { wildcard: true }), sym);
  assert.notEqual(await f.sum('sym2', { wildcard: true }), sym);
  assert.equal(await f.sum('foo/ghi', { wildcard: true }), sym);
  await assert.rejects(f.sum('foo/ghi', { wildcard: true, followLinks: true }), { code: 5 });
  await assert.rejects(f.sum('y1', { wildcard: true, followLinks: true }), { code: 5 });
  assert.equal(await f.sum('sym', {}), sym);
  assert.equal(await f.sum('foo/ghi', {}), sym);
  assert.equal(await f.sum('foo'), broken, 'in a folder it is not followed');
  assert.equal(
    await f.sum('fo?', { wildcard: true, followLinks: true }),
    'sha256:2797e710c6d1a89ff2d91c834b828b1dc500f2982430a58241df8e146f4c4bb4',
  );
  assert.equal(await f.sum('foo', { followLinks: true, excludePatterns: ['*.git'] }), broken);
});

for (const wildcard of [false, true]) {
  void test(`include and exclude patterns${wildcard ? ' with a wildcard' : ''}`, async (t) => {
    const lines = ['foo file data0', 'bar file data1', 'd0 dir', 'd0/abc file abc', 'd1 dir', 'd1/def file def'];
    const f = setUp(t, lines);
    const g = setUp(t, [...lines, 'baz file data2', 'd0/xyz file xyz', 'd2 dir']);
    const of = (which: Fixture, include: string[], exclude: string[] = [], path = ''): Promise<string> =>
      which.sum(path, { wildcard, includePatterns: include, excludePatterns: exclude });
    assert.equal(await of(f, ['d2/foo']), EMPTY);
    assert.equal(await of(g, ['d2/foo']), EMPTY);
    assert.equal(await of(g, ['foo'], [], 'd2'), EMPTY);
    assert.notEqual(await of(f, ['foo']), await of(f, ['foo', 'bar']));
    assert.equal(await of(f, ['foo', 'bar']), await of(g, ['foo', 'bar']));
    assert.notEqual(await of(f, ['d0']), await of(g, ['d0']));
    assert.equal(await of(f, ['d1']), await of(g, ['d1']));
    const star = await of(f, ['d0/*']);
    assert.equal(await of(f, ['d0/a*']), star);
    assert.equal(await of(g, ['d0/a*']), star);
    assert.equal(await of(g, ['**/abc']), star);
    assert.notEqual(await of(g, ['d0/*']), star);
    assert.equal(await of(g, ['d0/*'], ['d0/xyz']), star);
    assert.equal(await of(g, ['**'], ['**', '!d0/abc']), await of(g, [], ['**', '!d0/abc']));
    const required = f.sum('', { wildcard, includePatterns: ['foo'], requiredPaths: ['/bar'] });
    await assert.rejects(required, { code: 5, message: '"/bar": not found' });
  });

  void test(`double stars${wildcard ? ' with a wildcard' : ''}`, asRoot, async (t) => {
    const empty = setUp(t, ['prefix dir', 'prefix/a dir', 'prefix/a/b dir', 'prefix/a/b/c dir']);
    assert.equal(await empty.sum('prefix/a', { wildcard, includePatterns: ['**/foo/**'] }), EMPTY);
    const lines = ['a', 'a/b', 'a/b/c', 'a/b/c/foo'].map((dir) => `prefix/${dir} dir`);
    const f = setUp(t, ['prefix dir', ...lines, 'prefix/a/b/c/foo/bar file abc']);
    for (const pattern of ['**/foo/**', '**/foo'])
      assert.equal(await f.sum('prefix/a', { wildcard, includePatterns: [pattern, '**/report'] }), DOUBLE_STAR);
  });
}

void test('a selection that begins behind a link is that of the folder it leads to', async (t) => {
  const f = setUp(t, [
    'data dir',
    'data/d0 dir',
    'data/d0/d1 dir',
    'data/d0/d1/d2 dir',
    'mnt dir',
    'mnt/data symlink ../data',
    'data/d0/d1/d2/foo file abc',
    'data/symlink-to-d0 symlink d0',
  ]);
  const of = (path: string, wildcard = false): Promise<string> =>
    f.sum(path, { wildcard, includePatterns: ['**/foo'] });
  const d0 = await of('data/d0');
  assert.notEqual(d0, EMPTY);
  assert.equal(await of('mnt/data/d0'), d0);
  assert.equal(await of('mnt/data/d0', true), d0);
  assert.equal(await of('mnt/data/d*', true), await of('data/d*', true));
  const d2 = await of('data/d0/d1/d2');
  assert.equal(await of('mnt/data/d0/d1/d2'), d2);
  assert.equal(await of('mnt/data/d0/d1/d2', true), d2);
  assert.equal(await of('mnt/data/d0/d1/d*', true), await of('data/d0/d1/d*', true));
  assert.equal(await of('mnt/data/symlink-to-d0/d*/d2', true), await of('mnt/data/d0/d*/d2', true));
});

function change(kind: TreeChange['kind'], path: string, mode: number, data = '', linkname = ''): TreeChange {
  if (kind === 'delete') return { kind, path };
  const stat = {
    path,
    mode: mode >>> 0,
    uid: 0,
    gid: 0,
    size: BigInt(data.length),
    modTime: 0n,
    linkname,
    devmajor: 0n,
    devminor: 0n,
    xattrs: new Map(),
  };
  const digest = `sha256:${createHash('sha256').update(tarSumHeader(stat)).update(data).digest('hex')}`;
  return { kind, path, stat: stat as unknown as NonNullable<TreeChange['stat']>, digest };
}

const DIR = 0x80000000 + 0o755;

void test('a transfer that is followed needs no scan; changes make digests of folders unknown', asRoot, async (t) => {
  const f = setUp(t, ['d0 dir', 'd0/abc file data0', 'd0/def symlink abc', 'd0/ghi symlink nosuchfile']);
  await f.hasher.beginChanges('one');
  await f.hasher.applyChanges('one', [change('add', 'd0', DIR), change('add', 'd0/abc', 0o644, 'data0')]);
  await f.hasher.applyChanges('one', [
    change('add', 'd0/def', 0x08000000 + 0o777, '', 'abc'),
    change('add', 'd0/ghi', 0x08000000 + 0o777, '', 'nosuchfile'),
  ]);
  await f.hasher.commitChanges('one');
  assert.equal(await f.sum('d0/abc'), FILE_DATA0);
  assert.equal(await f.sum('d0'), DIR_D0);
  assert.equal(f.mounted, 0, 'a folder that the transfer has made is known as a whole');
  await f.hasher.beginChanges('one');
  writeFileSync(join(f.dir, 'tree/d0/abc'), 'data1');
  await f.hasher.applyChanges('one', [change('modify', 'd0/abc', 0o644, 'data1')]);
  await f.hasher.commitChanges('one');
  assert.notEqual(await f.sum('d0'), DIR_D0);
  await f.hasher.beginChanges('one');
  rmSync(join(f.dir, 'tree/d0/ghi'));
  writeFileSync(join(f.dir, 'tree/d0/abc'), 'data0');
  await f.hasher.applyChanges('one', [change('modify', 'd0/abc', 0o644, 'data0'), change('delete', 'd0/ghi', 0)]);
  await f.hasher.commitChanges('one');
  assert.equal(await f.sum('d0'), DIR_D0_MODIFIED);
  await f.hasher.beginChanges('one');
  rmSync(join(f.dir, 'tree/d0'), { recursive: true });
  await f.hasher.applyChanges('one', [change('delete', 'd0', 0)]);
  await f.hasher.commitChanges('one');
  await assert.rejects(f.sum('d0/abc'), { code: 5 });
});

void test('changes that never ended make everything known void', async (t) => {
  const f = setUp(t, ['foo file data0']);
  const before = await f.sum('foo');
  writeFileSync(await f.hasher.beginChanges('one'), '');
  writeFileSync(join(f.dir, 'tree/foo'), 'other');
  assert.notEqual(await f.sum('foo'), before, 'nothing that was known is believed meanwhile');
  // As after a kill: another process, nobody changing the tree.
  const next = createTreeHasher({ directory: join(f.dir, 'digests') });
  const ref = fakeRef('one', [join(f.dir, 'tree')], () => {});
  assert.notEqual(await next.checksum(ref, 'foo', {}, {}), before);
  assert.ok(!existsSync(join(f.dir, 'digests/one.changes')));
  await next.close();
});

void test('a transfer that changed nothing leaves everything known, also when it never ended', async (t) => {
  const f = setUp(t, ['foo file data0']);
  const before = await f.sum('foo');
  const { mounted } = f;
  for (const commit of [true, false]) {
    const marker = await f.hasher.beginChanges('one');
    assert.ok(!existsSync(marker));
    if (commit) await f.hasher.commitChanges('one');
  }
  const next = createTreeHasher({ directory: join(f.dir, 'digests') });
  const ref = fakeRef('one', [join(f.dir, 'tree')], () => assert.fail('the files are looked at'));
  assert.equal(await next.checksum(ref, 'foo', {}, {}), before);
  assert.equal(f.mounted, mounted);
  await next.close();
});

void test('links on the way stay inside, too many are an error', async (t) => {
  const f = setUp(t, [
    'a dir',
    'a/file file data0',
    'abs symlink /a',
    'up symlink ../../../a/file',
    'loop symlink loop',
  ]);
  const file = await f.sum('a/file');
  assert.equal(await f.sum('abs/file', {}), file);
  assert.equal(await f.sum('up'), file);
  assert.equal(await f.sum('a/../../up'), file);
  await assert.rejects(f.sum('loop'), /too many links/);
  assert.notEqual(await f.sum('loop', {}), file);
});

void test('scratch', async (t) => {
  const f = setUp(t, []);
  assert.equal(await f.hasher.checksum(undefined, '/', {}, {}), EMPTY);
  await assert.rejects(f.hasher.checksum(undefined, '/a', {}, {}), {
    code: 5,
    message: '/a: no such file or directory',
  });
});
