import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { noProgress } from '../base/index.ts';
import { digestOf } from '../oci/index.ts';
import type { Descriptor, Digest } from '../oci/index.ts';
import type { Registry } from '../registry/types.ts';
import type { JobContext } from '../solver/types.ts';
import { createBlobSource } from './blob.ts';
import type { BlobDeps } from './blob.ts';
import type { SourceInstance } from './types.ts';

const DATA = Buffer.from('some layer');
const DIGEST = digestOf(DATA);
const context = {
  signal: new AbortController().signal,
  sessions: () => [],
  progress: noProgress,
} as unknown as JobContext;

/** A record that keeps its folder, and says when it was given up. */
function setUp(t: TestContext, sent: Buffer = DATA, knows: 'blob' | 'manifest' | 'nothing' = 'blob') {
  const dir = mkdtempSync(join(tmpdir(), 'blob-source-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const record = { released: 0, committed: false, description: '' };
  const descriptor = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: DIGEST, size: DATA.length };
  const fetched: Descriptor[] = [];
  const registry = {
    referrers: async () => [],
    blobSize: async () => (knows === 'blob' ? DATA.length : undefined),
    resolve: async (ref: string) => {
      if (knows !== 'manifest') throw new Error(`${ref}: not found`);
      return { ref, descriptor };
    },
    fetch: async function* (_ref: string, asked: Descriptor) {
      fetched.push(asked);
      yield sent;
    },
  } as unknown as Registry;
  const mutable = {
    mounts: async () => ({ mounts: [{ type: 'bind', source: dir, options: [] }], release: async () => {} }),
    metadata: { setRetain: async () => {} },
    release: async () => void record.released++,
    commit: async () => {
      record.committed = true;
      return { id: 'ref' };
    },
  };
  const accessor = {
    create: async (_parent: unknown, { description }: { description: string }) => {
      record.description = description;
      return mutable;
    },
  };
  const source = createBlobSource({ registry, accessor } as unknown as BlobDeps);
  const open = (ref: string, attrs: Record<string, string> = {}, scheme = 'docker-image+blob'): SourceInstance =>
    source.resolve({
      scheme,
      ref,
      attrs: new Map(Object.entries(attrs)),
      platform: { os: 'linux', architecture: 'amd64' },
    });
  return { dir, record, source, open, fetched };
}

void test('a blob becomes a file with the name, mode and time that were asked for', async (t) => {
  const { dir, record, open } = setUp(t);
  await open(`example.com/repo@${DIGEST}`, { 'http.filename': '../layer.tar.gz', 'http.perm': '0640' }).snapshot(
    context,
  );
  assert.deepEqual(readdirSync(dir), ['layer.tar.gz']);
  assert.deepEqual(readFileSync(join(dir, 'layer.tar.gz')), DATA);
  const { mode, mtimeMs } = statSync(join(dir, 'layer.tar.gz'));
  assert.deepEqual([mode & 0o7777, mtimeMs], [0o640, 0]);
  assert.deepEqual(record, { released: 0, committed: true, description: `blob example.com/repo@${DIGEST}` });
});

void test(
  'without a name it is called by its digest; owners are set',
  { skip: process.getuid?.() !== 0 },
  async (t) => {
    const { dir, open } = setUp(t);
    await open(`repo@${DIGEST}`, { 'http.uid': '123', 'http.gid': '456' }).snapshot(context);
    const { mode, uid, gid } = statSync(join(dir, DIGEST.slice(7)));
    assert.deepEqual([mode & 0o7777, uid, gid], [0o600, 123, 456]);
  },
);

void test('a digest that is that of a manifest is found, too', async (t) => {
  const { dir, open, fetched } = setUp(t, DATA, 'manifest');
  await open(`repo@${DIGEST}`).snapshot(context);
  assert.equal(fetched[0].mediaType, 'application/vnd.oci.image.manifest.v1+json');
  assert.equal(readdirSync(dir).length, 1);
  await assert.rejects(setUp(t, DATA, 'nothing').open(`repo@${DIGEST}`).snapshot(context), /not found/);
});

void test('other bytes than the digest says are refused, and nothing stays', async (t) => {
  const { record, open } = setUp(t, Buffer.from('another one'));
  const failing = open(`repo@${DIGEST}`).snapshot(context);
  await assert.rejects(failing, /docker.io\/library\/repo@sha256:\w+: unexpected digest sha256:\w+, expected sha256:/);
  assert.deepEqual([record.released, record.committed], [1, false]);
});

void test('keys tell apart what differs, and are those of upstream', async (t) => {
  const { open } = setUp(t);
  const keyOf = async (attrs: Record<string, string>): Promise<string> =>
    (await open(`repo@${DIGEST}`, attrs).cacheKey(context, 0)).key;
  const json = `{"Digest":"${DIGEST}","Filename":"a","Perm":420,"UID":1,"GID":2}`;
  const attrs = { 'http.filename': 'a', 'http.perm': '0644', 'http.uid': '1', 'http.gid': '2' };
  assert.equal(await keyOf(attrs), digestOf(json));
  assert.notEqual(await keyOf({ ...attrs, 'http.filename': 'b' }), digestOf(json));
});

void test('provenance learns where it came from', (t) => {
  const { open } = setUp(t);
  const ref = `example.com/a/b@${DIGEST}`;
  const material = { kind: 'image-blob', ref, digest: DIGEST };
  assert.deepEqual(open(ref).facts(DIGEST).materials, [{ ...material, local: false }]);
  const layout = open(ref, { 'oci.store': 's' }, 'oci-layout+blob');
  assert.deepEqual(layout.facts(DIGEST).materials, [{ ...material, local: true }]);
});

void test('identifiers', (t) => {
  const { source, open } = setUp(t);
  const request = { scheme: 'docker-image+blob', attrs: new Map(), platform: { os: 'linux', architecture: 'amd64' } };
  assert.equal(
    source.normalize({ ...request, ref: `busybox@${DIGEST}` }),
    `docker-image+blob://docker.io/library/busybox@${DIGEST}`,
  );
  assert.throws(() => source.normalize({ ...request, ref: 'busybox' }), { code: 3, message: 'object required' });
  assert.throws(() => source.normalize({ ...request, ref: 'busybox:1' }), {
    code: 3,
    message: /invalid reference digest/,
  });
  const bad = `busybox@sha512:${'a'.repeat(128)}` as Digest;
  assert.throws(() => source.normalize({ ...request, ref: bad }), { code: 3 });
  assert.throws(() => open(`a/b@${DIGEST}`, {}, 'oci-layout+blob'), /oci-layout blob source requires store id/);
  assert.throws(() => open(`a/b@${DIGEST}`, { 'image.recordtype': 'x' }), /invalid record type x/);
});
