import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { decompress, detectCompression, GzipWriter, ZstdWriter } from './index.ts';

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const text = Buffer.concat([
  Buffer.alloc(3 << 20, 'all work and no play, '),
  randomBytes(100_000),
  Buffer.alloc(1 << 20),
]);

/** `printf 'hello hello hello hello\n' | bzip2` */
const BZIP2 = Buffer.from('QlpoOTFBWSZTWW9PEPMAAAXRAAAQQAACRKAAMMACqDRxDa2HDxdyRThQkG9PEPM=', 'base64');

void test('kinds are told by their first bytes', () => {
  assert.equal(detectCompression(gzipSync('x')), 'gzip');
  assert.equal(detectCompression(zstdCompressSync(Buffer.from('x'))), 'zstd');
  assert.equal(detectCompression(Buffer.from('BZh91AY')), 'bzip2');
  assert.equal(detectCompression(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])), 'xz');
  assert.equal(detectCompression(Buffer.from('plain')), 'none');
  assert.equal(detectCompression(Buffer.alloc(0)), 'none');
});

for (const size of [7, 4096, 1 << 22]) {
  void test(`what is compressed comes back, in pieces of ${size}`, async () => {
    const few = size === 7 ? text.subarray(0, 100_000) : text;
    for (const bytes of [few, gzipSync(few), zstdCompressSync(few)])
      assert.ok((await collect(decompress(pieces(bytes, size)))).equals(few));
    const members = Buffer.concat([gzipSync('one '), gzipSync('two')]);
    assert.equal((await collect(decompress(pieces(members, size)))).toString(), 'one two');
  });
}

void test('broken streams are invalid', async () => {
  await assert.rejects(collect(decompress(pieces(gzipSync(text).subarray(0, 5000), 1000))), { code: 3 });
  await assert.rejects(collect(decompress(pieces(zstdCompressSync(text).subarray(0, 5000), 1000))), { code: 3 });
});

void test('gzip in blocks is one member, whose bytes do not depend on how the input came', async () => {
  const results: Buffer[] = [];
  for (const size of [text.length, 65_537]) {
    const parts: Uint8Array[] = [];
    const writer = new GzipWriter((bytes) => void parts.push(bytes));
    for await (const piece of pieces(text, size)) await writer.write(piece);
    await writer.end();
    results.push(Buffer.concat(parts));
  }
  assert.ok(gunzipSync(results[0] as Buffer).equals(text));
  assert.deepEqual(results[0], results[1]);
});

void test('an empty gzip', async () => {
  const parts: Uint8Array[] = [];
  const writer = new GzipWriter((bytes) => void parts.push(bytes));
  await writer.end();
  assert.equal(gunzipSync(Buffer.concat(parts)).length, 0);
});

void test('zstd, whose bytes do not depend on how the input came', async () => {
  const results: Buffer[] = [];
  for (const size of [text.length, 65_537]) {
    const parts: Uint8Array[] = [];
    const writer = new ZstdWriter((bytes) => void parts.push(Uint8Array.from(bytes)));
    for await (const piece of pieces(text, size)) await writer.write(piece);
    await writer.end();
    results.push(Buffer.concat(parts));
  }
  assert.ok(zstdDecompressSync(results[0] as Buffer).equals(text));
  assert.deepEqual(results[0], results[1]);
});

for (const make of [
  (sink: (bytes: Uint8Array) => void) => new GzipWriter(sink),
  (sink: (bytes: Uint8Array) => void) => new ZstdWriter(sink),
]) {
  void test('a sink that fails ends the writing', async () => {
    const writer = make(() => {
      throw new Error('disk full');
    });
    await assert.rejects(async () => {
      for (let i = 0; i < 64; i++) await writer.write(randomBytes(1 << 20));
      await writer.end();
    }, /disk full/);
  });
}

void test('bzip2', async () => {
  assert.equal((await collect(decompress(pieces(BZIP2, 5)))).toString(), 'hello hello hello hello\n');
  assert.equal((await collect(decompress(pieces(Buffer.concat([BZIP2, BZIP2]), 100)))).length, 48);
  const bad = Buffer.from(BZIP2);
  bad[bad.length - 10] = (bad[bad.length - 10] as number) ^ 1;
  await assert.rejects(collect(decompress(pieces(bad, 100))), { code: 3, message: /^bzip2: / });
  await assert.rejects(collect(decompress(pieces(BZIP2.subarray(0, 30), 100))), { code: 3 });
});

/** `printf 'hello hello hello hello\n' | xz` */
const XZ = Buffer.from(
  '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AAXAAxdADQZSe6N6VYKwSGwAABsFO0bO2i7kQABKBjXg7duH7bzfQEAAAAABFla',
  'base64',
);

void test('xz', async () => {
  assert.equal((await collect(decompress(pieces(XZ, 5)))).toString(), 'hello hello hello hello\n');
  assert.equal((await collect(decompress(pieces(Buffer.concat([XZ, Buffer.alloc(4), XZ]), 100)))).length, 48);
  for (const at of [8, 16, 30, 40, XZ.length - 3]) {
    const bad = Buffer.from(XZ);
    bad[at] = (bad[at] as number) ^ 1;
    await assert.rejects(collect(decompress(pieces(bad, 100))), { message: /^xz: / });
  }
  await assert.rejects(collect(decompress(pieces(XZ.subarray(0, 40), 100))), { code: 3 });
});
