import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import { encodeTarHeader, TAR_TRAILER, TarReader } from '../../archive/index.ts';
import type { TarHeader } from '../../archive/index.ts';
import { mknod, setXattr } from '../../host/index.ts';
import { convertBlob, writeLayer } from './index.ts';

const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root' };

function workDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'diff-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

function entriesOf(tar: Buffer): Array<TarHeader & { data: string }> {
  const entries: Array<TarHeader & { data: string }> = [];
  const reader = new TarReader({
    entry: (header) => void entries.push({ ...header, data: '' }),
    data: (bytes) => void ((entries.at(-1) as { data: string }).data += Buffer.from(bytes).toString('latin1')),
    entryEnd: () => {},
  });
  reader.write(tar);
  reader.end();
  return entries;
}

const sha256 = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

function names(tar: Buffer): string[] {
  return entriesOf(tar).map((e) => `${e.name}${e.type === '1' || e.type === '2' ? ` -> ${e.linkname}` : ''}`);
}

async function layer(dir: string, lower: string[], upper: string[], more: object = {}): Promise<Buffer> {
  const path = join(dir, `out-${Math.random()}`);
  const written = await writeLayer({ lower, upper, path, compression: { type: 'uncompressed' }, ...more });
  const tar = readFileSync(path);
  assert.equal(written.digest, sha256(tar));
  assert.equal(written.diffId, written.digest);
  assert.equal(written.size, tar.length);
  return tar;
}

void test('a tree on scratch: folders first, links, whole seconds, no names of owners', async (t) => {
  const dir = workDir(t);
  const tree = join(dir, 'tree');
  mkdirSync(join(tree, 'a/b'), { recursive: true });
  writeFileSync(join(tree, 'a/b/file'), 'hello');
  chmodSync(join(tree, 'a/b/file'), 0o4755);
  linkSync(join(tree, 'a/b/file'), join(tree, 'a/second'));
  symlinkSync('/x/y', join(tree, 'a-link'));
  utimesSync(join(tree, 'a/b/file'), 1_700_000_000.9, 1_700_000_000.9);
  const tar = await layer(dir, [], [tree]);
  assert.deepEqual(names(tar), ['a/', 'a/b/', 'a/b/file', 'a/second -> a/b/file', 'a-link -> /x/y']);
  const file = entriesOf(tar).find((e) => e.name === 'a/b/file');
  assert.equal(file?.data, 'hello');
  assert.equal(file.mode, 0o4755);
  assert.equal(file.mtimeNs, 1_700_000_000n * 1_000_000_000n);
  assert.equal(file.uname, '');
  const clamped = await layer(dir, [], [tree], { clampMtimeNs: 5_000_000_000n });
  assert.ok(entriesOf(clamped).every((e) => e.mtimeNs <= 5_000_000_000n));
});

void test('an overlay: deletions, opaque folders, and folders that only lead to a change', asRoot, async (t) => {
  const dir = workDir(t);
  const [base, top] = [join(dir, 'base'), join(dir, 'top')];
  for (const at of ['base/keep/deep', 'base/gone', 'base/opaque/old', 'top/keep/deep', 'top/opaque'])
    mkdirSync(join(dir, at), { recursive: true });
  for (const at of [
    'base/keep/deep/x',
    'base/keep/y',
    'base/gone/z',
    'base/opaque/old/f',
    'base/opaque/same',
    'base/file',
  ])
    writeFileSync(join(dir, at), at);
  writeFileSync(join(dir, 'top/keep/deep/new'), 'new');
  writeFileSync(join(dir, 'top/opaque/same'), 'changed');
  setXattr(join(dir, 'top/opaque'), 'trusted.overlay.opaque', Buffer.from('y'));
  mknod(join(dir, 'top/gone'), 0o020000, 0, 0);
  mknod(join(dir, 'top/never'), 0o020000, 0, 0);
  mknod(join(dir, 'top/keep/y'), 0o020000, 0, 0);
  const tar = await layer(dir, [base], [top, base]);
  assert.deepEqual(names(tar), [
    '.wh.gone',
    'keep/',
    'keep/deep/',
    'keep/deep/new',
    'keep/.wh.y',
    'opaque/',
    'opaque/.wh.old',
    'opaque/same',
  ]);
  const whiteout = entriesOf(tar)[0] as TarHeader;
  assert.deepEqual([whiteout.type, whiteout.size, whiteout.mode, whiteout.mtimeNs], ['0', 0, 0, 0n]);
  // The same trees as plain directories of a stack that is no neighbour's: both are walked.
  mkdirSync(join(dir, 'empty'));
  assert.deepEqual(await layer(dir, [base], [join(dir, 'empty'), top, base]), tar);
});

void test('two plain trees: the same content at the same whole second is no change, another kind of file is', async (t) => {
  const dir = workDir(t);
  for (const side of ['a', 'b']) {
    mkdirSync(join(dir, side, 'd'), { recursive: true });
    for (const name of ['same', 'data', 'time']) {
      writeFileSync(join(dir, side, 'd', name), name === 'data' ? side : 'x');
      utimesSync(join(dir, side, 'd', name), 1000, name === 'time' && side === 'b' ? 1001 : 1000);
    }
  }
  mkdirSync(join(dir, 'a/turns/into'), { recursive: true });
  writeFileSync(join(dir, 'b/turns'), 'a file');
  mkdirSync(join(dir, 'a/deleted/with/all'), { recursive: true });
  writeFileSync(join(dir, 'b/new'), '');
  const tar = await layer(dir, [join(dir, 'a')], [join(dir, 'b')]);
  assert.deepEqual(names(tar), ['d/', 'd/data', 'd/time', '.wh.deleted', 'new', 'turns']);
});

void test('compressed layers hold the tar, whose digest is the diffId', async (t) => {
  const dir = workDir(t);
  const tree = join(dir, 'tree');
  mkdirSync(tree);
  writeFileSync(join(tree, 'big'), Buffer.alloc(5 << 20, 'some text, '));
  const tar = await layer(dir, [], [tree]);
  const path = join(dir, 'gz');
  let seen = 0;
  const gz = await writeLayer(
    { lower: [], upper: [tree], path, compression: { type: 'gzip' } },
    { onProgress: (n) => (seen = n) },
  );
  assert.ok(seen <= tar.length);
  assert.deepEqual(gunzipSync(readFileSync(path)), tar);
  assert.equal(gz.digest, sha256(readFileSync(path)));
  assert.equal(gz.diffId, sha256(tar));
  assert.equal(gz.uncompressedSize, tar.length);
  const zst = await convertBlob({ source: path, path: join(dir, 'zst'), compression: { type: 'zstd' } });
  assert.equal(zst.diffId, sha256(tar));
  assert.deepEqual(zstdDecompressSync(readFileSync(join(dir, 'zst'))), tar);
  const back = await convertBlob({ source: join(dir, 'zst'), path: join(dir, 'gz2'), compression: { type: 'gzip' } });
  assert.equal(back.digest, gz.digest, 'the bytes depend on the data alone');
  const clamped = await convertBlob({
    source: path,
    path: join(dir, 'c'),
    compression: { type: 'uncompressed' },
    clampMtimeNs: 0n,
  });
  assert.notEqual(clamped.diffId, gz.diffId);
  assert.deepEqual(
    entriesOf(readFileSync(join(dir, 'c'))).map((e) => [e.name, e.mtimeNs, e.data.length]),
    [['big', 0n, 5 << 20]],
  );
});

void test('times of creation, which Windows layers have, are cut too', async (t) => {
  const dir = workDir(t);
  const header = (name: string, creation: string): Uint8Array =>
    encodeTarHeader({
      name,
      type: '5',
      mode: 0o755,
      uid: 0,
      gid: 0,
      size: 0,
      mtimeNs: 2_000_000_000_000_000_000n,
      linkname: '',
      uname: '',
      gname: '',
      devmajor: 0,
      devminor: 0,
      format: 'pax',
      pax: new Map([
        ['LIBARCHIVE.creationtime', creation],
        ['MSWINDOWS.fileattr', '16'],
      ]),
    });
  const source = join(dir, 'windows');
  writeFileSync(source, Buffer.concat([header('Files', '2000000000.5'), header('Hives', '1650000000.0'), TAR_TRAILER]));
  const path = join(dir, 'cut');
  await convertBlob({ source, path, compression: { type: 'uncompressed' }, clampMtimeNs: 1_700_000_000_000_000_000n });
  assert.deepEqual(
    entriesOf(readFileSync(path)).map(({ name, mtimeNs, pax }) => [name, mtimeNs, Object.fromEntries(pax ?? [])]),
    [
      ['Files', 1_700_000_000_000_000_000n, { 'LIBARCHIVE.creationtime': '1700000000.0', 'MSWINDOWS.fileattr': '16' }],
      ['Hives', 1_700_000_000_000_000_000n, { 'LIBARCHIVE.creationtime': '1650000000.0', 'MSWINDOWS.fileattr': '16' }],
    ],
  );
});

void test('a link to a folder says so to Windows, however it is written', async (t) => {
  const dir = workDir(t);
  const tree = join(dir, 'tree');
  mkdirSync(join(tree, 'App/lib'), { recursive: true });
  writeFileSync(join(tree, 'App/a.txt'), 'a');
  const folders = ['lib', '../App/LIB', 'C:\\App', 'c:/app/lib', '..\\App\\lib', '/App'];
  const files = ['a.txt', 'C:\\App\\a.txt', 'D:\\App', 'none', '..\\App\\a.txt'];
  for (const [i, target] of [...folders, ...files].entries()) symlinkSync(target, join(tree, `App/link${100 + i}`));
  const path = join(dir, 'layer');
  await writeLayer({ lower: [], upper: [tree], path, compression: { type: 'uncompressed' }, system: 'windows' });
  assert.deepEqual(
    entriesOf(readFileSync(path))
      .filter(({ type }) => type === '2')
      .map(({ linkname, pax }) => [linkname, pax?.get('MSWINDOWS.fileattr')]),
    [...folders.map((f) => [f, '1040']), ...files.map((f) => [f, '1056'])],
  );
});

void test('what fails leaves no file', async (t) => {
  const dir = workDir(t);
  const path = join(dir, 'out');
  const lower = [join(dir, 'none')];
  await assert.rejects(writeLayer({ lower: [], upper: lower, path, compression: { type: 'gzip' } }));
  assert.ok(!existsSync(path));
  const broken = gzipSync(Buffer.alloc(1 << 20)).subarray(0, 500);
  writeFileSync(join(dir, 'broken'), broken);
  await assert.rejects(convertBlob({ source: join(dir, 'broken'), path, compression: { type: 'zstd' } }), { code: 3 });
  assert.ok(!existsSync(path));
  const abort = new AbortController();
  abort.abort();
  await assert.rejects(convertBlob({ source: path, path, compression: { type: 'zstd' } }, { signal: abort.signal }), {
    code: 1,
  });
});
