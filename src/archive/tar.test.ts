import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
  encodeTarHeader,
  fromByteString,
  fsPath,
  TAR_TRAILER,
  tarPadding,
  TarReader,
  TarType,
  toByteString,
  XATTR_RECORD,
} from './index.ts';
import type { ArchiveLimits, TarHeader } from './index.ts';

interface Read {
  readonly header: TarHeader;
  data: Buffer;
}

const SECOND = 1_000_000_000n;

const plain: TarHeader = {
  name: 'file',
  type: TarType.File,
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeNs: 0n,
  linkname: '',
  uname: '',
  gname: '',
  devmajor: 0,
  devminor: 0,
};

function pack(entries: ReadonlyArray<readonly [Partial<TarHeader>, string?]>): Buffer {
  const parts: Uint8Array[] = [];
  for (const [header, data = ''] of entries) {
    const bytes = Buffer.from(data, 'latin1');
    parts.push(encodeTarHeader({ ...plain, size: bytes.length, ...header }), bytes, tarPadding(bytes.length));
  }
  return Buffer.concat([...parts, TAR_TRAILER]);
}

function read(tar: Uint8Array, options: { limits?: Partial<ArchiveLimits>; piece?: number } = {}): Read[] {
  const found: Read[] = [];
  const reader = new TarReader(
    {
      entry: (header) => void found.push({ header, data: Buffer.alloc(Math.min(header.size, 1 << 20)) }),
      data: (bytes, offset) => (found.at(-1) as Read).data.set(bytes, offset),
      entryEnd: () => {},
    },
    options.limits,
  );
  const piece = options.piece ?? tar.length;
  for (let at = 0; at < tar.length; at += piece) reader.write(tar.subarray(at, at + piece));
  reader.end();
  return found;
}

const cases: Record<string, Partial<TarHeader>> = {
  'a plain file': { name: 'dir/file', mode: 0o4755, uid: 1000, gid: 10, mtimeNs: 1_700_000_000_000_000_000n },
  'a folder': { name: 'dir/', type: TarType.Dir },
  'a link': { type: TarType.Symlink, linkname: '../somewhere' },
  'a device': { type: TarType.Char, devmajor: 10, devminor: 229 },
  'a long name that splits': { name: `${'d'.repeat(90)}/${'f'.repeat(90)}` },
  'a long name that does not': { name: 'x'.repeat(300) },
  'a long link': { type: TarType.Symlink, linkname: 'y'.repeat(200) },
  'a name that is no ASCII': { name: toByteString('grüße') },
  'a large owner': { uid: 3_000_000, gid: 2 ** 31 },
  'an attribute of raw bytes': { pax: new Map([[`${XATTR_RECORD}user.x`, '\xff\0\n=']]), format: 'pax' },
  nanoseconds: { mtimeNs: 1_234_567_890_123_456_789n, format: 'pax' },
  'a time before 1970': { mtimeNs: -5_000_000_000n },
};

for (const [what, header] of Object.entries(cases)) {
  void test(`${what} comes back as it was`, () => {
    const tar = pack([[header, header.type === undefined ? 'some data' : '']]);
    for (const piece of [1, 511, 100_000]) {
      const [entry, ...more] = read(tar, { piece });
      assert.equal(more.length, 0);
      const { pax, format: _format, ...rest } = (entry as Read).header;
      const {
        pax: wanted,
        format: _wantedFormat,
        ...wantedRest
      } = { ...plain, size: entry?.data.length ?? 0, ...header };
      assert.deepEqual(rest, wantedRest);
      for (const [key, value] of wanted ?? []) assert.equal(pax?.get(key), value);
      if (header.type === undefined) assert.equal(entry?.data.toString(), 'some data');
    }
  });
}

void test('archives have the bytes that Go gives them', () => {
  const pax = { format: 'pax', mtimeNs: SECOND } as const;
  const attributes = new Map([
    [`${XATTR_RECORD}security.capability`, '\x01\0\0\x02\xff\0\n='],
    [`${XATTR_RECORD}a`, 'b'],
  ]);
  const link = { type: TarType.Symlink, mode: 0o777, linkname: toByteString('é'.repeat(60)) };
  const late = { uid: 3_000_000, mtimeNs: 10_000_000_000n * SECOND };
  const tar = pack([
    [pax, 'hello'],
    [{ ...pax, name: `${'d'.repeat(90)}/${'f'.repeat(90)}`, mode: 0o4755 }],
    [{ ...pax, name: 'x'.repeat(300) }],
    [{ ...pax, name: toByteString('grüße'), ...link }],
    [{ ...pax, name: 'a/b/', type: TarType.Dir, mode: 0o755, uid: 3_000_000, gid: 2 ** 31, mtimeNs: -5n * SECOND }],
    [{ ...pax, name: 'x/cap', mode: 0o755, pax: attributes }],
    [{ name: 'frac', mtimeNs: 1_600_000_000n, atimeNs: SECOND }],
    [{ name: `old/${toByteString('é'.repeat(80))}`, ...late }],
    [{ name: `gnu${'n'.repeat(120)}`, format: 'gnu', ...late }],
    [{ ...pax, name: 'dev', type: TarType.Char, mode: 0o600, devmajor: 10, devminor: 229 }],
  ]);
  // sha256 of what archive/tar of Go 1.26 wrote for the same headers.
  const digest = createHash('sha256').update(tar).digest('hex');
  assert.equal(digest, '67ee9c12934440dc58a1bfb3732fe2a809f56e57592bcfb1838c9f88dadbb33c');
});

/** By Go's path.Split and path.Join: where the records of an entry with that name stand. */
const paxHeaders: Record<string, string> = {
  file: 'PaxHeaders.0/file',
  'a/b/file': 'a/b/PaxHeaders.0/file',
  'a/b/': 'a/b/PaxHeaders.0',
  '.hidden/.file': '.hidden/PaxHeaders.0/.file',
  '...': 'PaxHeaders.0/...',
  './file': 'PaxHeaders.0/file',
  'a//./b//file': 'a/b/PaxHeaders.0/file',
  '/file': '/PaxHeaders.0/file',
  '/../file': '/PaxHeaders.0/file',
  '../../file': '../../PaxHeaders.0/file',
  'a/../file': 'PaxHeaders.0/file',
  'a/..': 'a',
};

void test('records stand where Go puts them', () => {
  for (const [name, wanted] of Object.entries(paxHeaders)) {
    const block = encodeTarHeader({
      ...plain,
      name,
      type: TarType.Dir,
      format: 'pax',
      pax: new Map([['key', 'value']]),
    });
    assert.equal(Buffer.from(block).toString('latin1', 0, 100).replace(/\0+$/, ''), wanted, name);
  }
});

void test('without a format times are rounded to seconds', () => {
  const [entry] = read(pack([[{ mtimeNs: 1_600_000_000n, atimeNs: 5n }]]));
  assert.equal(entry?.header.mtimeNs, 2_000_000_000n);
  assert.equal(entry.header.atimeNs, undefined);
});

void test('sparse files of GNU and PAX keep their holes', () => {
  const map = (text: string): Buffer => Buffer.concat([Buffer.from(text), tarPadding(text.length)]);
  const data = '2\n512\n4\n4096\n4\n';
  const records = (pairs: Record<string, string>): Map<string, string> => new Map(Object.entries(pairs));
  const body = Buffer.concat([map(data), Buffer.from('abcdwxyz')]).toString('latin1');
  // The writer does not make sparse entries: the records are put in by hand behind its back.
  const tar = pack([
    [
      {
        name: 'GNUSparseFile.0/file',
        pax: records({
          'GNU,sparse,major': '1',
          'GNU,sparse,minor': '0',
          'GNU,sparse,name': 'file',
          'GNU,sparse,realsize': '8192',
        }),
        format: 'pax',
      },
      body,
    ],
  ]);
  const patched = Buffer.from(tar.toString('latin1').replaceAll(/GNU,sparse,/g, 'GNU.sparse.'), 'latin1');
  const [entry] = read(patched);
  assert.equal(entry?.header.name, 'file');
  assert.equal(entry.header.size, 8192);
  assert.deepEqual(entry.header.sparse, [
    [512, 4],
    [4096, 4],
  ]);
  assert.equal(entry.data.toString('latin1', 512, 516), 'abcd');
  assert.equal(entry.data.toString('latin1', 4096, 4100), 'wxyz');
});

void test('broken archives are errors', () => {
  const tar = pack([[{ name: 'file' }, 'data']]);
  const bad = Buffer.from(tar);
  bad[0] = 0x7a;
  assert.throws(() => read(bad), { code: 3, message: /^archive\/tar: invalid tar header: checksum/ });
  assert.throws(() => read(tar.subarray(0, 514)), { code: 3, message: /unexpected EOF/ });
  assert.throws(() => read(Buffer.from('not a tar')), { code: 3 });
  assert.throws(() => read(Buffer.alloc(2048, 'no tar either')), { code: 3 });
  const negative = Buffer.from(tar);
  negative.fill(0xff, 124, 136);
  assert.throws(() => read(negative), { code: 3 });
  assert.equal(read(tar.subarray(0, 1024)).length, 1, 'the end may be missing');
});

void test('limits', () => {
  const tar = pack([
    [{ name: 'a/b/c/d' }, 'data'],
    [{ name: 'e' }, 'more'],
  ]);
  const exhausted = { code: 8 };
  assert.throws(() => read(tar, { limits: { maxEntries: 1 } }), exhausted);
  assert.throws(() => read(tar, { limits: { maxDepth: 2 } }), exhausted);
  assert.throws(() => read(tar, { limits: { maxTotalBytes: 7 } }), exhausted);
  assert.throws(() => read(tar, { limits: { maxFileBytes: 3 } }), exhausted);
  assert.equal(read(tar, { limits: { maxEntries: 2, maxDepth: 3, maxTotalBytes: 8, maxFileBytes: 4 } }).length, 2);
});

void test('byte strings', () => {
  assert.equal(toByteString('abc'), 'abc');
  assert.equal(fromByteString(toByteString('grüße 🚀')), 'grüße 🚀');
  assert.equal(fsPath('abc'), 'abc');
  assert.deepEqual(fsPath('\xff/x'), Buffer.from([0xff, 0x2f, 0x78]));
});
