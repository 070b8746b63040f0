import assert from 'node:assert/strict';
import test from 'node:test';
import { noProgress } from '../base/index.ts';
import { digestOf } from '../oci/index.ts';
import type { Descriptor } from '../oci/types.ts';
import type { Registry } from '../registry/types.ts';
import { resolveExports } from './index.ts';
import type { CacheEntry, RemoteCacheDeps } from './index.ts';
import { rootKeyId } from '../solver/index.ts';
import { collectRecords } from './collect.ts';
import { RecordGraph } from './record-graph.ts';
import { GZIP, layer, ToyCache } from './toy-keys.ts';

class ToyRegistry {
  readonly blobs = new Map<string, string>();
  readonly manifests: { ref: string; descriptor: Descriptor; text: string }[] = [];
  insecure: boolean | undefined;

  readonly deps = {
    registry: {
      pushBlob: async (_ref: string, d: Descriptor, open: () => Promise<AsyncIterable<Uint8Array>>) => {
        let text = '';
        for await (const chunk of await open()) text += Buffer.from(chunk).toString();
        assert.equal(digestOf(text), d.digest);
        this.blobs.set(d.digest, text);
      },
      pushManifest: async (
        ref: string,
        descriptor: Descriptor,
        bytes: Uint8Array,
        options: { insecure?: boolean },
      ): Promise<void> => {
        this.insecure = options.insecure;
        this.manifests.push({ ref, descriptor, text: Buffer.from(bytes).toString() });
      },
    } as unknown as Registry,
    sessions: {} as RemoteCacheDeps['sessions'],
    auth: () => ({ id: 'nobody' }),
  } satisfies RemoteCacheDeps;
}

const entry = (type: string, attrs: Record<string, string> = {}): CacheEntry => ({
  type,
  attrs: new Map(Object.entries(attrs)),
});

async function run(attrs: Record<string, string>, layers = ['one']) {
  const far = new ToyRegistry();
  const cache = new ToyCache();
  const top = cache.key('top', [[[cache.key('root', [])]]], layers);
  const result = cache.result([top]);
  const [exporter] = resolveExports(far.deps, [entry('registry', { ref: 'example.com/cache', ...attrs })]).exporters;
  const context = { signal: new AbortController().signal, progress: noProgress, sessionId: '' };
  const response = await exporter.export([result], context);
  await result.release();
  assert.equal(cache.live, 0);
  assert.equal(cache.blobs.open, 0);
  return { far, response, exporter };
}

const layerText = (text: string, type: string): string =>
  `{"mediaType":"${type}","digest":"${digestOf(text)}","size":${text.length},"annotations":{"containerd.io/uncompressed":"${layer(text).annotations?.['containerd.io/uncompressed']}"}}`;

void test('a cache goes to a registry as an image manifest', async () => {
  const { far, response, exporter } = await run({ 'registry.insecure': 'true' });
  assert.equal(exporter.name, 'exporting cache to registry');
  const [{ ref, descriptor, text }] = far.manifests;
  assert.equal(ref, 'example.com/cache:latest');
  assert.equal(far.insecure, true);
  const config = [...far.blobs.values()].find((t) => t.startsWith('{"layers"')) as string;
  assert.match(config, new RegExp(`^\\{"layers":\\[\\{"blob":"${digestOf('one')}","parent":-1\\}\\],"records":\\[`));
  assert.equal(
    text,
    `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"${digestOf(config)}","size":${config.length}},"layers":[${layerText('one', 'application/vnd.oci.image.layer.v1.tar+gzip')}]}`,
  );
  assert.equal(far.blobs.get(digestOf('one')), 'one');
  assert.deepEqual(
    [...response],
    [['cache.manifest', `{"mediaType":"${descriptor.mediaType}","digest":"${digestOf(text)}","size":${text.length}}`]],
  );
});

void test('or as an index, of either family of media types', async () => {
  const oci = await run({ 'image-manifest': 'false' });
  const start = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[';
  assert.ok(oci.far.manifests[0].text.startsWith(start));
  const docker = await run({ 'oci-mediatypes': 'false' });
  const { text } = docker.far.manifests[0];
  assert.match(
    text,
    /^\{"schemaVersion":2,"mediaType":"application\/vnd\.docker\.distribution\.manifest\.list\.v2\+json"/,
  );
  assert.ok(text.includes(layerText('one', 'application/vnd.docker.image.rootfs.diff.tar.gzip')));
  await assert.rejects(
    run({ 'oci-mediatypes': 'false', 'image-manifest': 'true' }),
    /OCI mediatypes are required for image-manifest cache format/,
  );
});

void test('nothing is written where there is nothing', async () => {
  const { far, response } = await run({}, []);
  assert.deepEqual([far.manifests.length, far.blobs.size, response.size], [0, 0, 0]);
});

void test('what is asked for is checked', () => {
  const { deps } = new ToyRegistry();
  const refuse = (entries: CacheEntry[], message: string): void =>
    assert.throws(() => resolveExports(deps, entries), { message });
  refuse([entry('tape')], 'unknown cache exporter: "tape"');
  refuse([entry('toString')], 'unknown cache exporter: "toString"');
  refuse([entry('registry')], 'failed to configure registry cache exporter: missing ref');
  refuse([entry('local')], 'failed to configure local cache exporter: local cache exporter requires dest');
  refuse(
    [entry('local', { dest: 'd', compression: 'lz4' })],
    'failed to configure local cache exporter: unsupported compression type lz4',
  );
  const same = [entry('registry', { ref: 'a', mode: 'max' }), entry('registry', { ref: 'a' })];
  refuse(same, 'duplicate cache exports [registry]');
  const { inline, exporters } = resolveExports(deps, [
    entry('inline'),
    entry('inline'),
    entry('local', { dest: 'd', 'ignore-error': 'true' }),
  ]);
  assert.equal(inline, true);
  assert.deepEqual(
    exporters.map((e) => e.ignoreError),
    [true],
  );
});

void test('a layer that is gone from where it would come from is left out, its record stays', async () => {
  const far = new ToyRegistry();
  const cache = new ToyCache();
  const below = cache.key('below', [[[cache.key('root', [])]]], ['kept']);
  const top = cache.key('top', [[[below]]], ['kept', 'gone']);
  cache.blobs.bytes.delete(digestOf('gone'));
  const result = cache.result([top]);
  const attrs = { ref: 'example.com/cache', mode: 'max' };
  const [exporter] = resolveExports(far.deps, [entry('registry', attrs)]).exporters;
  await exporter.export([result], { signal: new AbortController().signal, progress: noProgress, sessionId: '' });
  await result.release();
  const config = JSON.parse([...far.blobs.values()].find((t) => t.startsWith('{"layers"')) as string);
  assert.deepEqual(
    config.layers.map((l: { blob: string }) => l.blob),
    [digestOf('kept')],
  );
  assert.equal(config.records.length, 3);
  assert.equal(config.records.filter((r: { layers?: unknown[] }) => r.layers !== undefined).length, 1);
  assert.equal(cache.blobs.open, 0);
});

void test('ways to a key that only the store knows are exported too, cycles and deep chains included', async () => {
  const cache = new ToyCache();
  const root = cache.key('root', []);
  const top = cache.key('top', [[[root]]], ['one']);
  const digest = rootKeyId(top.digest, 0);
  const chain = Array.from({ length: 20_000 }, (_, i) => `n${i}`);
  const last = chain.at(-1) as string;
  cache.ways.set('top', [
    { from: rootKeyId(root.digest, 0), input: 0, selector: '', digest },
    { from: 'sha256:other', input: 0, selector: 'sha256:s', digest },
    { from: last, input: 0, selector: '', digest },
  ]);
  for (const [i, id] of chain.entries())
    cache.ways.set(id, [
      { from: i === 0 ? 'sha256:start' : chain[i - 1], input: 0, selector: '', digest: `sha256:${id}` },
    ]);
  cache.ways.set('sha256:start', [{ from: last, input: 0, selector: '', digest: 'sha256:loop' }]);
  const graph = new RecordGraph();
  const context = { signal: new AbortController().signal, progress: noProgress, sessions: () => [] };
  await collectRecords(graph, [top], { mode: 'min', compression: GZIP, context });
  const item = graph.items.find((i) => i.results.length > 0);
  const sources = item?.inputs[0].map(({ source, selector }) => [source.digest, selector]);
  assert.ok(
    sources?.some(([from, selector]) => from === 'sha256:other' && selector === 'sha256:s'),
    String(sources),
  );
});
