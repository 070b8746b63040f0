import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { encodeTarHeader, TAR_TRAILER, tarPadding, TarReader, TarType, XATTR_RECORD } from '../../archive/index.ts';
import type { TarHeader } from '../../archive/index.ts';
import { getXattr, setXattr } from '../../host/index.ts';
import { applyLayer, packDirectories, unpackArchive } from './index.ts';
import type { AppliedLayer, ApplyRequest } from './index.ts';

const isRoot = process.getuid?.() === 0;
const asRoot = { skip: isRoot ? false : 'needs root' };
const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

function workDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'apply-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

function tarOf(...entries: ReadonlyArray<readonly [name: string, data?: string, header?: Partial<TarHeader>]>): Buffer {
  const parts: Uint8Array[] = [];
  for (const [name, data = '', header = {}] of entries) {
    const type = name.endsWith('/') ? TarType.Dir : TarType.File;
    const nothing = { linkname: '', uname: '', gname: '', devmajor: 0, devminor: 0, mtimeNs: 1_000_000_000n };
    const mode = type === TarType.Dir ? 0o755 : 0o644;
    parts.push(encodeTarHeader({ name, type, mode, ...own, size: data.length, ...nothing, ...header }));
    parts.push(Buffer.from(data), tarPadding(data.length));
  }
  return Buffer.concat([...parts, TAR_TRAILER]);
}

const symlink = (linkname: string): Partial<TarHeader> => ({ type: TarType.Symlink, linkname });
const hardLink = (linkname: string): Partial<TarHeader> => ({ type: TarType.Link, linkname });

function apply(dir: string, bytes: Buffer, more: Partial<ApplyRequest> = {}): Promise<AppliedLayer> {
  const source = join(dir, 'layer');
  const target = join(dir, 'target');
  writeFileSync(source, bytes);
  mkdirSync(target, { recursive: true });
  return applyLayer({ source, target, style: 'plain', ...more });
}

void test('files, folders and links come with their attributes, however the layer is compressed', async (t) => {
  const tar = tarOf(
    ['dir/', '', { mode: 0o1711, mtimeNs: 5_000_000_000n }],
    ['dir/file', 'hello', { mode: 0o4755, mtimeNs: 7_123_456_789n, format: 'pax' }],
    ['link', '', symlink('dir/../../file')],
    ['second', '', { ...hardLink('dir/file'), mode: 0o4755, mtimeNs: 7_123_456_789n, format: 'pax' }],
    ['implied/below/f', 'x'],
  );
  for (const bytes of [tar, gzipSync(tar), zstdCompressSync(tar)]) {
    const dir = workDir(t);
    const diffId = `sha256:${createHash('sha256').update(tar).digest('hex')}` as ApplyRequest['diffId'];
    const result = await apply(dir, bytes, { diffId: diffId as NonNullable<typeof diffId> });
    assert.deepEqual(result, { system: 'linux', size: 6, diffId, entries: 5 });
    const file = lstatSync(join(dir, 'target/dir/file'), { bigint: true });
    assert.equal(file.mtimeNs, 7_123_456_789n);
    assert.equal(Number(file.mode) & 0o7777, 0o4755);
    assert.equal(lstatSync(join(dir, 'target/second')).ino, Number(file.ino));
    assert.equal(readlinkSync(join(dir, 'target/link')), 'dir/../../file');
    const folder = statSync(join(dir, 'target/dir'), { bigint: true });
    assert.deepEqual([Number(folder.mode) & 0o7777, folder.mtimeNs], [0o1711, 5_000_000_000n]);
    assert.equal(statSync(join(dir, 'target/implied/below')).mode & 0o7777, 0o755);
  }
});

void test('the first layer of an image for Windows may be plain files, one on it is what it is on', async (t) => {
  const plain = tarOf(['bin/', '', { mode: 0o755 }], ['bin/app.exe', 'MZ']);
  const dir = workDir(t);
  assert.equal((await apply(dir, plain, { system: 'windows', isBase: true })).system, 'linux');
  assert.equal(readFileSync(join(dir, 'target/bin/app.exe'), 'utf8'), 'MZ');
  const refused = /invalid Windows layer: /;
  await assert.rejects(apply(workDir(t), plain, { system: 'windows' }), refused);
  for (const name of ['../x', '/x', 'C:/x', 'NUL.txt', 'Files']) {
    const odd = tarOf([name, 'x'], ['bin/app.exe', 'MZ']);
    await assert.rejects(apply(workDir(t), odd, { system: 'windows', isBase: true }), refused, name);
  }
});

void test('streams of Windows files become no files, and are refused where there is no room for them', async (t) => {
  const layer = (name: string, length: number): Buffer =>
    tarOf(
      ['Files/'],
      ['Files/a', 'x'],
      [name, 's'.repeat(length)],
      ['Files/b', 'x'],
      ['UtilityVM/'],
      ['UtilityVM/:s', ''],
    );
  const options = { system: 'windows', isBase: true } as const;
  const dir = workDir(t);
  await apply(dir, layer('Files/a:s', 100), options);
  assert.deepEqual(readdirSync(join(dir, 'target')), ['a', 'b']);
  assert.equal(readFileSync(join(dir, 'target/a'), 'utf8'), 'x');
  const tooLong = /"Files\/a:s": a file can keep 65535 bytes in alternate data streams here/;
  await assert.rejects(apply(workDir(t), layer('Files/a:s', 65_535), options), { code: 3, message: tooLong });
  await assert.rejects(
    apply(workDir(t), layer('Files/c:s', 1), options),
    /invalid Windows layer: "Files\/c:s" names an/,
  );
});

void test('no name leads out of the target', async (t) => {
  const dir = workDir(t);
  mkdirSync(join(dir, 'outside'));
  writeFileSync(join(dir, 'outside/secret'), 'secret');
  await apply(
    dir,
    tarOf(
      ['../up', 'x'],
      ['/abs', 'x'],
      ['out', '', symlink(join(dir, 'outside'))],
      ['out/file', 'x'],
      ['up2', '', symlink('../../..')],
      ['up2/file2', 'x'],
      ['a/../../b', 'x'],
      ['over', '', symlink(join(dir, 'outside/secret'))],
      ['over', 'new'],
      ['.wh...', ''],
    ),
  ).catch((error: Error) => assert.match(error.message, /invalid whiteout name: \.wh\.\.\./));
  assert.deepEqual(readdirSync(join(dir, 'outside')), ['secret']);
  assert.equal(readFileSync(join(dir, 'outside/secret'), 'utf8'), 'secret');
  assert.deepEqual(readdirSync(dir).sort(), ['layer', 'outside', 'target']);
  assert.equal(readFileSync(join(dir, 'target/over'), 'utf8'), 'new');
  assert.ok(
    existsSync(join(dir, 'target/up')) && existsSync(join(dir, 'target/b')) && existsSync(join(dir, 'target/file2')),
  );
  assert.ok(existsSync(join(dir, 'target', dir, 'outside/file')), 'a link is resolved below the target');
  await assert.rejects(
    apply(dir, tarOf(['esc', '', hardLink(join(dir, 'outside/secret'))])),
    /no such file or directory/,
  );
});

void test('plain: whiteouts delete what was there, opaque folders spare what the layer brings', async (t) => {
  const dir = workDir(t);
  mkdirSync(join(dir, 'target/d/old/deep'), { recursive: true });
  writeFileSync(join(dir, 'target/d/old/deep/f'), '');
  writeFileSync(join(dir, 'target/gone'), '');
  writeFileSync(join(dir, 'target/becomes'), '');
  await apply(dir, tarOf(['.wh.gone'], ['d/new', 'x'], ['d/.wh..wh..opq'], ['becomes/'], ['becomes/f', 'y']));
  assert.deepEqual(readdirSync(join(dir, 'target')).sort(), ['becomes', 'd']);
  assert.deepEqual(readdirSync(join(dir, 'target/d')), ['new']);
  assert.deepEqual(readdirSync(join(dir, 'target/becomes')), ['f']);
});

void test(
  'overlay: whiteouts hide what is below, never what the layer brings; parents get their attributes from below',
  asRoot,
  async (t) => {
    const dir = workDir(t);
    const base = join(dir, 'base');
    mkdirSync(join(base, 'd/sub'), { recursive: true, mode: 0o711 });
    setXattr(join(base, 'd'), 'user.note', Buffer.from('hi'));
    utimesSync(join(base, 'd/sub'), 1000, 1000);
    const tar = tarOf(
      ['d/sub/new', 'x'],
      ['d/.wh.gone'],
      ['o/.wh..wh..opq'],
      ['.wh.back'],
      ['back/'],
      ['kept', 'k'],
      ['.wh.kept'],
    );
    await apply(dir, tar, { style: 'overlay', parents: [base] });
    const target = join(dir, 'target');
    const whiteout = lstatSync(join(target, 'd/gone'));
    assert.ok(whiteout.isCharacterDevice() && whiteout.rdev === 0);
    assert.equal(Buffer.from(getXattr(join(target, 'o'), 'trusted.overlay.opaque') ?? []).toString(), 'y');
    assert.equal(Buffer.from(getXattr(join(target, 'back'), 'trusted.overlay.opaque') ?? []).toString(), 'y');
    assert.equal(readFileSync(join(target, 'kept'), 'utf8'), 'k');
    assert.equal(Buffer.from(getXattr(join(target, 'd'), 'user.note') ?? []).toString(), 'hi');
    assert.equal(statSync(join(target, 'd/sub')).mode & 0o7777, statSync(join(base, 'd/sub')).mode & 0o7777);
    assert.equal(statSync(join(target, 'd/sub')).mtimeMs, 1_000_000);
  },
);

void test('attributes of an overlay are not taken from a layer, others are', asRoot, async (t) => {
  const dir = workDir(t);
  const pax = new Map([
    [`${XATTR_RECORD}trusted.overlay.redirect`, '/etc'],
    [`${XATTR_RECORD}user.overlay.opaque`, 'y'],
    [`${XATTR_RECORD}user.mine`, '\x00\xff'],
  ]);
  await apply(dir, tarOf(['d/', '', { pax, format: 'pax' }]));
  const at = join(dir, 'target/d');
  assert.equal(getXattr(at, 'trusted.overlay.redirect'), undefined);
  assert.equal(getXattr(at, 'user.overlay.opaque'), undefined);
  assert.deepEqual(Buffer.from(getXattr(at, 'user.mine') ?? []), Buffer.from([0, 0xff]));
});

void test('what is no layer is an error that says so', async (t) => {
  const dir = workDir(t);
  const notTar = { code: 3, message: /^failed to extract layer: archive\/tar: invalid tar header/ };
  await assert.rejects(apply(dir, Buffer.alloc(4096, 'text')), notTar);
  await assert.rejects(apply(dir, gzipSync(Buffer.alloc(4096, 'text'))), notTar);
  await assert.rejects(apply(dir, gzipSync(Buffer.alloc(4096, 'text')).subarray(0, 20)), { code: 3 });
  const diffId = `sha256:${'0'.repeat(64)}` as NonNullable<ApplyRequest['diffId']>;
  await assert.rejects(apply(dir, tarOf(['f', 'x']), { diffId }), {
    code: 9,
    message: /^wrong diff id calculated on extraction/,
  });
  await assert.rejects(apply(dir, tarOf(['a'], ['b']), { limits: { maxEntries: 1 } }), { code: 8 });
  const deep = tarOf([`${'d/'.repeat(600)}f`]);
  await assert.rejects(apply(dir, deep), { code: 8 });
  const signal = AbortSignal.abort();
  await assert.rejects(applyLayer({ source: join(dir, 'layer'), target: dir, style: 'plain' }, { signal }), {
    code: 1,
  });
});

void test('sparse files stay sparse', async (t) => {
  const dir = workDir(t);
  const map = '1\n1073741824\n4\n';
  const body = Buffer.concat([Buffer.from(map), tarPadding(map.length), Buffer.from('data')]).toString('latin1');
  const pax = new Map([
    ['GNU,sparse,major', '1'],
    ['GNU,sparse,minor', '0'],
    ['GNU,sparse,name', 'disk'],
    ['GNU,sparse,realsize', String(2 ** 40)],
  ]);
  const tar = tarOf(['GNUSparseFile.0/disk', body, { pax, format: 'pax' }]);
  await apply(dir, Buffer.from(tar.toString('latin1').replaceAll('GNU,sparse,', 'GNU.sparse.'), 'latin1'));
  const stat = statSync(join(dir, 'target/disk'));
  assert.equal(stat.size, 2 ** 40);
  assert.ok(stat.blocks < 1000);
});

void test('ADD unpacks archives and leaves the rest to the caller', async (t) => {
  const dir = workDir(t);
  const from = join(dir, 'from');
  const to = join(dir, 'to');
  mkdirSync(join(from, 'd'), { recursive: true });
  mkdirSync(join(to, 'sub'), { recursive: true });
  writeFileSync(join(from, 'a.tar.gz'), gzipSync(tarOf(['f', 'x'], ['.wh.f', 'literal'], ['dir/'])));
  writeFileSync(join(from, 'text'), 'no archive');
  writeFileSync(join(from, 'text.gz'), gzipSync('no archive'));
  writeFileSync(join(from, 'empty'), '');
  symlinkSync('/a.tar.gz', join(from, 'd/link'));
  symlinkSync('/sub', join(to, 'there'));
  const unpack = (source: string, target = '/'): Promise<boolean> =>
    unpackArchive({
      sourceRoot: from,
      source,
      targetRoot: to,
      target,
      ...(isRoot ? { owner: { uid: 7, gid: 8 } } : {}),
    });
  for (const source of ['text', 'text.gz', 'empty', 'd', 'none']) assert.equal(await unpack(source), false, source);
  assert.deepEqual(readdirSync(to), ['sub', 'there']);
  assert.equal(await unpack('/d/link', 'there'), true);
  assert.deepEqual(readdirSync(join(to, 'sub')).sort(), ['.wh.f', 'dir', 'f']);
  if (isRoot) assert.equal(statSync(join(to, 'sub/f')).uid, 7);
});

void test('what accounts of Windows own is packed as of root, other ids stay', asRoot, async (t) => {
  const dir = workDir(t);
  const owners = { user: 59_322, number: 1000 };
  for (const [name, id] of Object.entries(owners)) {
    writeFileSync(join(dir, name), '');
    chownSync(join(dir, name), id, id);
  }
  for (const system of ['windows', 'linux'] as const) {
    const found: Record<string, number> = {};
    const reader = new TarReader({ entry: (h) => void (found[h.name] = h.uid), data: () => {}, entryEnd: () => {} });
    for await (const chunk of packDirectories([{ dir, prefix: '', system }])) reader.write(chunk);
    reader.end();
    assert.deepEqual(found, system === 'windows' ? { ...owners, user: 0 } : owners);
  }
});

void test('trees are packed as one archive, in chunks as they are taken', async (t) => {
  const dir = workDir(t);
  for (const tree of ['one', 'two']) mkdirSync(join(dir, tree, 'd'), { recursive: true });
  writeFileSync(join(dir, 'one/d/big'), Buffer.alloc(20 << 20, 'x'));
  writeFileSync(join(dir, 'two/d/small'), 'y');
  const entries = [
    { dir: join(dir, 'one'), prefix: '' },
    { dir: join(dir, 'two'), prefix: 'linux_arm64' },
  ];
  const names: string[] = [];
  const reader = new TarReader({
    entry: (h) => void names.push(`${h.name} ${h.uid} ${h.mtimeNs}`),
    data: () => {},
    entryEnd: () => {},
  });
  for await (const chunk of packDirectories(entries, { mtimeNs: 2_000_000_000n, owner: { uid: 5, gid: 6 } })) {
    assert.ok(chunk.length <= 1 << 20);
    reader.write(chunk);
  }
  reader.end();
  const expected = ['d/', 'd/big', 'linux_arm64/', 'linux_arm64/d/', 'linux_arm64/d/small'];
  assert.deepEqual(
    names,
    expected.map((name) => `${name} 5 2000000000`),
  );
  for await (const chunk of packDirectories(entries)) {
    assert.ok(chunk.length > 0);
    break;
  }
  await assert.rejects(packDirectories([{ dir: join(dir, 'none'), prefix: '' }]).next(), /no such file or directory/);
});
