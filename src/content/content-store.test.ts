import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { BuildError, Code, configureLog } from '../base/index.ts';
import { openDatabase } from '../metadata/index.ts';
import type { Digest } from '../oci/types.ts';
import { openContentStore, openLayoutStore, readBlob, readLayoutIndex, writeLayoutIndex } from './index.ts';
import type { ContentStore } from './index.ts';

const digestOf = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
const isCode = (code: Code) => (error: unknown) => error instanceof BuildError && error.code === code;

function temporary(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'content-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const stores: Record<string, (t: TestContext) => { store: ContentStore; dir: string }> = {
  disk: (t) => {
    const dir = temporary(t);
    const db = openDatabase(join(dir, 'buildkit.db'));
    t.after(() => db.close());
    return { store: openContentStore(join(dir, 'content'), db), dir: join(dir, 'content') };
  },
  layout: (t) => {
    const dir = temporary(t);
    return { store: openLayoutStore(dir), dir };
  },
};

async function put(store: ContentStore, bytes: Uint8Array, ref = 'x'): Promise<Digest> {
  const writer = await store.writer(ref);
  await writer.write(bytes);
  return await writer.commit({});
}

for (const [name, open] of Object.entries(stores)) {
  void describe(`${name} store`, () => {
    void it('gives back what was written, whole and in parts', async (t) => {
      const { store } = open(t);
      const bytes = Buffer.alloc(3_500_000, 'abcdefg');
      const writer = await store.writer('w');
      for (let at = 0; at < bytes.length; at += 70_001) await writer.write(bytes.subarray(at, at + 70_001));
      assert.equal(writer.offset, bytes.length);
      const digest = await writer.commit({ digest: digestOf(bytes), size: bytes.length });
      assert.equal((await store.info(digest))?.size, bytes.length);
      assert.ok(bytes.equals(await readBlob(store, { digest, size: bytes.length })));
      const reader = await store.reader({ digest, size: bytes.length });
      assert.equal(Buffer.from(await reader.read(7, 5)).toString(), 'abcde');
      assert.equal((await reader.read(bytes.length - 2, 100)).length, 2);
      let rest = 0;
      for await (const chunk of reader.stream(3_400_000)) rest += chunk.length;
      assert.equal(rest, 100_000);
    });

    void it('refuses another size or digest and leaves nothing behind', async (t) => {
      const { store, dir } = open(t);
      for (const expected of [{ size: 4 }, { digest: digestOf(Buffer.from('other')) }]) {
        const writer = await store.writer('w');
        await writer.write(Buffer.from('hello'));
        await assert.rejects(writer.commit(expected), isCode(Code.FailedPrecondition));
      }
      assert.equal(await store.info(digestOf(Buffer.from('hello'))), undefined);
      assert.deepEqual(existsSync(join(dir, 'ingest')) ? readdirSync(join(dir, 'ingest')) : [], []);
      await assert.rejects(store.reader({ digest: digestOf(Buffer.from('hello')), size: 5 }), isCode(Code.NotFound));
    });

    void it('lets one writer have a ref', async (t) => {
      const { store } = open(t);
      const writer = await store.writer('same');
      await assert.rejects(store.writer('same'), isCode(Code.Unavailable));
      await writer.abort();
      await writer.abort();
      await put(store, Buffer.from('hello'), 'same');
    });

    void it('adopts a file, lists, labels and deletes', async (t) => {
      const { store } = open(t);
      const path = store.temporaryPath();
      writeFileSync(path, 'layer');
      const digest = digestOf(Buffer.from('layer'));
      await assert.rejects(store.adopt(path, { digest, size: 6 }), isCode(Code.FailedPrecondition));
      await store.adopt(path, { digest, size: 5, labels: new Map([['a', '1']]) });
      await store.setLabels(
        digest,
        new Map([
          ['b', '2'],
          ['a', ''],
        ]),
      );
      const found = [];
      for await (const info of store.list()) found.push([info.digest, info.size, [...info.labels]]);
      assert.deepEqual(found, [[digest, 5, [['b', '2']]]]);
      assert.ok(existsSync(store.pathOf(digest)));
      await store.delete(digest);
      assert.throws(() => store.pathOf(digest), isCode(Code.NotFound));
      await assert.rejects(store.delete(digest), isCode(Code.NotFound));
    });

    void it('takes no digest that is a path', async (t) => {
      const { store } = open(t);
      await assert.rejects(
        store.reader({ digest: 'sha256:../../../etc/passwd' as Digest, size: 1 }),
        (error) => error instanceof BuildError,
      );
    });
  });
}

void it('start-up keeps what has a row and a file of that size', async (t) => {
  configureLog({ write: () => {} });
  t.after(() => configureLog({ write: (line) => void process.stderr.write(line) }));
  const dir = temporary(t);
  const root = join(dir, 'content');
  let db = openDatabase(join(dir, 'buildkit.db'));
  let store = openContentStore(root, db);
  const [whole, cut, gone] = [
    await put(store, Buffer.from('whole')),
    await put(store, Buffer.from('cut')),
    await put(store, Buffer.from('gone')),
  ] as const;
  const left = store.temporaryPath();
  writeFileSync(left, 'half');
  truncateSync(store.pathOf(cut), 1);
  rmSync(store.pathOf(gone));
  const stray = join(root, 'blobs/sha256', 'f'.repeat(64));
  writeFileSync(stray, 'no row');
  await db.close();
  db = openDatabase(join(dir, 'buildkit.db'));
  t.after(() => db.close());
  store = openContentStore(root, db);
  const kept = [];
  for await (const info of store.list()) kept.push(info.digest);
  assert.deepEqual(kept, [whole]);
  assert.deepEqual(readdirSync(join(root, 'blobs/sha256')), [whole.slice(7)]);
  assert.ok(!existsSync(left));
});

void it('reads and writes the index of a layout', (t) => {
  const dir = temporary(t);
  assert.throws(() => readLayoutIndex(dir), isCode(Code.NotFound));
  writeLayoutIndex(dir, '{"schemaVersion":2,"manifests":[]}');
  assert.deepEqual(readLayoutIndex(dir), { schemaVersion: 2, manifests: [] });
  writeFileSync(join(dir, 'index.json'), '[]');
  assert.throws(() => readLayoutIndex(dir), isCode(Code.InvalidArgument));
});
