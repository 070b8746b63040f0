import assert from 'node:assert/strict';
import test from 'node:test';
import { noProgress } from '../base/index.ts';
import { bytesReader } from '../content/index.ts';
import { digestOf, goJsonBytes, MediaType } from '../oci/index.ts';
import type { Descriptor } from '../oci/types.ts';
import type { CacheKey } from '../solver/index.ts';
import type { CacheAccessor, ImmutableRef } from '../storage/types.ts';
import { collectRecords } from './collect.ts';
import { configOf, encodeConfig } from './config.ts';
import { cacheManifest } from './export.ts';
import { createLazyCache, inlineCacheOf, resolveImporter } from './index.ts';
import type { CacheEntry } from './index.ts';
import { addConfig, parseConfig } from './parse-config.ts';
import { RecordGraph } from './record-graph.ts';
import { GZIP, layer, ToyBlobs, ToyCache } from './toy-keys.ts';

/** A registry of one reference, and snapshots that are lists of layers. */
class Far {
  readonly blobs = new Map<string, Uint8Array>();
  root: Descriptor | undefined;
  live = 0;
  resolves = 0;
  /** Of every request: whether anything goes. */
  readonly insecure: unknown[] = [];

  put(mediaType: string, bytes: Uint8Array): Descriptor {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  #ref(layers: readonly string[]): ImmutableRef {
    this.live++;
    return { id: layers.join('+'), release: async () => void this.live-- } as unknown as ImmutableRef;
  }

  open(entry: CacheEntry = { type: 'registry', attrs: new Map([['ref', 'example.com/c']]) }) {
    const deps = {
      registry: {
        resolve: async (ref: string, context: { insecure?: boolean }) => {
          this.resolves++;
          this.insecure.push(context.insecure);
          return { ref, descriptor: this.root as Descriptor };
        },
        fetch: async function* (this: void, _ref: string, { digest }: Descriptor, context: { insecure?: boolean }) {
          asked.push(context.insecure);
          yield* bytesReader(blobs.get(digest) as Uint8Array).stream();
        },
      } as unknown as Parameters<typeof resolveImporter>[0]['registry'],
      sessions: {} as Parameters<typeof resolveImporter>[0]['sessions'],
      auth: () => ({ id: 'nobody' }),
      accessor: {
        fromBlob: async (d: Descriptor, parent?: ImmutableRef) =>
          this.#ref([...(parent === undefined ? [] : [parent.id]), d.digest]),
      } as unknown as CacheAccessor,
      makeResult: (ref: ImmutableRef) => ({
        id: ref.id,
        sys: ref,
        fork: () => assert.fail('not forked'),
        release: () => ref.release(),
      }),
    };
    const { blobs, insecure: asked } = this;
    const importer = resolveImporter(deps, entry);
    const context = { signal: new AbortController().signal, progress: noProgress, sessionId: '' };
    return createLazyCache(importer.id, () => importer.open(context));
  }
}

/** FROM base; COPY . .; RUN step, as the steps of a build are looked up. */
async function lookUp(far: Far): Promise<string | undefined> {
  const cache = far.open();
  const [base] = await cache.query([], 0, digestOf('base'), 0);
  const [content] = await cache.query([], 0, digestOf('content'), 0);
  if (base === undefined || content === undefined) return undefined;
  const byBase = await cache.query([{ key: base }], 0, digestOf('copy'), 0);
  const byContent = await cache.query([{ key: content }], 1, digestOf('copy'), 0);
  assert.deepEqual(
    byBase.map((k) => k.id),
    byContent.map((k) => k.id),
  );
  assert.deepEqual(await cache.query([{ key: byBase[0] }], 0, digestOf('run'), 0), []);
  const [run] = await cache.query([{ key: byBase[0], selector: 'sha256:sel' }], 0, digestOf('run'), 0);
  const [record] = await cache.records(run);
  assert.equal(record.createdAt, 1_700_000_000_000_000_000n);
  const result = await cache.load(record);
  const { id } = result;
  await result.release();
  assert.equal(far.live, 0);
  assert.equal(far.resolves, 1);
  return id;
}

function build(cache: ToyCache): CacheKey {
  const base = cache.key('base', [], ['b']);
  const copy = cache.key('copy', [[[base]], [[cache.key('random:x', [])], [cache.key('content', [])]]], ['b', 'c']);
  return cache.key('run', [[[copy, 'sha256:sel']]], ['b', 'c', 'r']);
}

const chain = ['b', 'c', 'r'].map((l) => layer(l).digest).join('+');

for (const imageManifest of [true, false]) {
  void test(`what was exported is found again (${imageManifest ? 'manifest' : 'index'})`, async () => {
    const cache = new ToyCache();
    const graph = new RecordGraph();
    await collectRecords(graph, [build(cache)], { mode: 'max', compression: GZIP, context: {} });
    const { config, blobs } = configOf(graph);
    const far = new Far();
    const layers = config.layers.map((l) => blobs.get(l.blob)?.descriptor as Descriptor);
    const configDescriptor = far.put('application/vnd.buildkit.cacheconfig.v0', encodeConfig(config));
    const { descriptor, bytes } = cacheManifest({ ociTypes: true, imageManifest }, layers, configDescriptor);
    far.root = far.put(descriptor.mediaType, bytes);
    assert.equal(await lookUp(far), chain);
  });
}

void test('an image that carries its cache is one too, below an index as well', async () => {
  const cache = new ToyCache();
  const result = cache.result([build(cache)]);
  const inline = (await inlineCacheOf(result, GZIP, {})) as Uint8Array;
  await result.release();
  const far = new Far();
  const layers = ['b', 'c', 'r'].map(layer);
  const config = far.put(
    MediaType.ociConfig,
    goJsonBytes({
      rootfs: { type: 'layers', diff_ids: layers.map((l) => l.annotations?.['containerd.io/uncompressed'] as string) },
      'moby.buildkit.cache.v0': inline,
    }),
  );
  const image = cacheManifest(
    { ociTypes: true, imageManifest: true },
    layers.map(({ annotations: _, ...l }) => l),
    config,
  );
  const manifest = far.put(image.descriptor.mediaType, image.bytes);
  far.root = manifest;
  assert.equal(await lookUp(far), chain);
  far.resolves = 0;
  const index = {
    schemaVersion: 2,
    mediaType: MediaType.ociIndex,
    manifests: [{ ...manifest, digest: manifest.digest as string }],
  };
  far.root = far.put(MediaType.ociIndex, Buffer.from(JSON.stringify(index)));
  assert.equal(await lookUp(far), chain);
});

void test('a cache that cannot be had is empty, and is asked for once', async () => {
  const far = new Far();
  far.root = far.put(MediaType.ociManifest, Buffer.from('{"config":'));
  assert.equal(await lookUp(far), undefined);
  assert.equal(far.resolves, 1);
  assert.deepEqual(await far.open({ type: 'tape', attrs: new Map() }).query([], 0, digestOf('base'), 0), []);
  far.root = { mediaType: '', digest: digestOf('x'), size: 2 ** 21 };
  assert.equal(await lookUp(Object.assign(far, { resolves: 0 })), undefined);
});

void test('configs are not believed', () => {
  const digest = digestOf('d');
  const source = { descriptors: new Map([[layer('b').digest, layer('b')]]), provider: new ToyBlobs() };
  const refuse = (config: object, message: RegExp): void =>
    assert.throws(
      () => addConfig(new RecordGraph(), parseConfig(Buffer.from(JSON.stringify(config))), source),
      message,
    );
  const record = { digest, inputs: [[{ link: 1 }]] };
  refuse({ records: [record, { digest, inputs: [[{ link: 0 }]] }] }, /invalid looping record/);
  refuse({ records: [{ digest, inputs: [[{ link: 0 }]] }] }, /invalid looping record/);
  refuse({ records: [record] }, /invalid record ID: 1/);
  refuse({ records: [{ digest, inputs: [[]] }] }, /invalid empty input for record 0/);
  const result = (layer: number) => ({ digest, layers: [{ layer, createdAt: '2023-11-14T22:13:20Z' }] });
  refuse({ records: [result(3)] }, /invalid layer index 3/);
  refuse({ layers: [{ blob: layer('b').digest }], records: [result(0)] }, /invalid looping layer/);
  refuse({ records: [{ digest, layers: [{ createdAt: 'today' }] }] }, /is not a time/);
  refuse({ records: [5] }, /is not an object/);
  refuse({ layers: [{ blob: 'sha256:x' }] }, /layer without a digest/);
  const last = 19_999;
  const records = Array.from({ length: last + 1 }, (_, i) =>
    i < last ? { digest, inputs: [[{ link: i + 1 }]] } : { digest },
  );
  const graph = new RecordGraph();
  addConfig(graph, parseConfig(Buffer.from(JSON.stringify({ records }))), source);
  assert.equal(graph.items.length, 20_000);
});

void test('a registry that may be insecure is so for all that is read of it', async () => {
  const read = async (attrs: readonly [string, string][]): Promise<unknown[]> => {
    const far = new Far();
    far.root = far.put('application/vnd.oci.image.index.v1+json', Buffer.from('{"schemaVersion":2,"manifests":[]}'));
    const cache = far.open({ type: 'registry', attrs: new Map([['ref', 'example.com/c'], ...attrs]) });
    await cache.query([], 0, digestOf('base'), 0);
    return far.insecure;
  };
  assert.deepEqual(await read([['registry.insecure', 'true']]), [true, true]);
  assert.deepEqual(await read([]), [false, false]);
});
