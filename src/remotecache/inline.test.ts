import assert from 'node:assert/strict';
import test from 'node:test';
import { digestOf } from '../oci/index.ts';
import type { Digest } from '../oci/types.ts';
import { rootKeyId } from '../solver/index.ts';
import { collectRecords } from './collect.ts';
import { configOf, encodeConfig } from './config.ts';
import { inlineRecords } from './inline.ts';
import { inlineCacheOf } from './index.ts';
import { RecordGraph } from './record-graph.ts';
import { GZIP, layer, ToyCache } from './toy-keys.ts';

const AT = '2023-11-14T22:13:20Z';
const record = (name: string): string => rootKeyId(digestOf(name), 0);

async function configText(cache: ToyCache, keys: Parameters<typeof collectRecords>[1], mode: 'min' | 'max') {
  const graph = new RecordGraph();
  await collectRecords(graph, keys, { mode, compression: GZIP, context: {} });
  assert.equal(cache.live, 0);
  return Buffer.from(encodeConfig(configOf(graph).config)).toString();
}

/** FROM base; COPY src; RUN step: the files are known by content and by definition, the latter random. */
function build(cache: ToyCache) {
  const base = cache.key('base', [], ['b']);
  const local = cache.key('random:context', []);
  const content = cache.key('content', []);
  const copy = cache.key('copy', [[[base]], [[local], [content]]], ['b', 'c']);
  return cache.key('run', [[[copy, 'sha256:sel']]], ['b', 'c', 'r']);
}

void test('an image carries the records of its own layers', async () => {
  const cache = new ToyCache();
  const run = build(cache);
  const result = cache.result([run]);
  const bytes = await inlineCacheOf(result, GZIP, {});
  await result.release();
  assert.equal(cache.live, 0);

  const names = ['base', 'content', 'copy', 'run'].toSorted((a, b) => (record(a) < record(b) ? -1 : 1));
  const at = (name: string): number => names.indexOf(name);
  const texts: Record<string, string> = {
    base: `{"digest":"${record('base')}"}`,
    content: `{"digest":"${record('content')}"}`,
    copy: `{"layers":[{"layer":1,"createdAt":"${AT}"}],"digest":"${record('copy')}","inputs":[[{"link":${at('base')}}],[{"link":${at('content')}}]]}`,
    run: `{"layers":[{"layer":2,"createdAt":"${AT}"}],"digest":"${record('run')}","inputs":[[{"selector":"sha256:sel","link":${at('copy')}}]]}`,
  };
  assert.equal(Buffer.from(bytes as Uint8Array).toString(), `[${names.map((n) => texts[n]).join(',')}]`);
});

void test('layers in another order than the image has them are told one by one', async () => {
  const cache = new ToyCache();
  const graph = new RecordGraph();
  const run = build(cache);
  await collectRecords(graph, [run], { mode: 'max', compression: GZIP, context: {} });
  const swapped = inlineRecords(graph, [layer('c').digest, layer('b').digest, layer('x').digest]);
  const records = JSON.parse(Buffer.from(swapped as Uint8Array).toString()) as { digest: string }[];
  assert.deepEqual(
    records.filter((r) => 'layers' in r || 'chains' in r),
    [
      {
        ...records.find((r) => r.digest === record('copy')),
        chains: [{ layers: [1, 0], createdAt: '0001-01-01T00:00:00Z' }],
      },
    ],
  );
  const unpacked = layer('b').annotations?.['containerd.io/uncompressed'] as Digest;
  assert.equal(inlineRecords(graph, [unpacked]), undefined);
  assert.equal(inlineRecords(graph, [layer('x').digest]), undefined);
});

void test('a config says the same whatever the order of work', async () => {
  const cache = new ToyCache();
  const run = build(cache);
  const text = await configText(cache, [run], 'max');
  assert.equal(await configText(cache, [...run.deps[0].map((d) => d.key), run], 'max'), text);
  const config = JSON.parse(text) as { layers: { blob: string; parent?: number }[]; records: object[] };
  const blobs = ['b', 'c', 'r'].map((l) => layer(l).digest).toSorted();
  const parent = (l: string): number => blobs.indexOf(layer(l).digest);
  const parents: Record<string, number> = { b: -1, c: parent('b'), r: parent('c') };
  assert.deepEqual(
    config.layers,
    ['b', 'c', 'r']
      .toSorted((a, b) => parent(a) - parent(b))
      .map((l) => ({ blob: layer(l).digest, ...(parents[l] === 0 ? {} : { parent: parents[l] }) })),
  );
  assert.equal(config.records.length, 4);
});

void test('min makes blobs only down to the first, and takes those that are there', async () => {
  const cache = new ToyCache();
  const a = cache.key('a', [[[cache.key('root', [])]]], ['a']);
  const b = cache.key('b', [[[a]]], ['b']);
  const c = cache.key('c', [[[b]]]);
  cache.made.add('a');
  await configText(cache, [c], 'min');
  assert.deepEqual(cache.created, ['b']);
  const deeper = new ToyCache();
  const below = deeper.key('a', [[[deeper.key('root', [])]]], ['a']);
  const top = deeper.key('b', [[[below]]], ['b']);
  const text = await configText(deeper, [top], 'min');
  assert.deepEqual(deeper.created, ['b']);
  assert.equal((JSON.parse(text) as { layers: unknown[] }).layers.length, 1);
  await configText(deeper, [top], 'max');
  assert.deepEqual(deeper.created, ['b', 'a']);
});

void test('what nobody could find again is no record', async () => {
  const cache = new ToyCache();
  const random = cache.key('random:x', []);
  const top = cache.key('top', [[[cache.key('root', [])]], [[random]]], ['t']);
  assert.equal(await configText(cache, [top], 'max'), `{"records":[{"digest":"${record('root')}"}]}`);
  const hidden = cache.key('hidden', [[[cache.key('root', [])]]], ['h'], false);
  assert.doesNotMatch(await configText(cache, [hidden], 'max'), /"layers"/);
});
