import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryKeyStore } from '../cache/memory-key-store.ts';
import { ToyWorld, toy } from '../toy-graph.ts';
import type { ToySpec } from '../toy-graph.ts';
import type { CacheMiss, Edge, VertexState } from '../types.ts';

/** The last state of each vertex by name, of a build in a world of its own over keys and results that are kept. */
async function follow(world: ToyWorld, id: string, edge: Edge): Promise<Map<string, VertexState>> {
  const job = world.solver.newJob(id);
  const states = new Map<string, VertexState>();
  const reading = (async () => {
    for await (const batch of job.status()) for (const v of batch.vertexes) states.set(v.name, v);
  })();
  const result = await job.build(edge);
  await result.release();
  job.closeProgress();
  await reading;
  await job.discard();
  return states;
}

/** `src` → `copy` → `make`, with what is said of each. */
function chain(spec: { src?: Partial<ToySpec>; copy?: Partial<ToySpec>; make?: Partial<ToySpec> } = {}): Edge {
  const src = toy({ name: 'src', ...spec.src });
  const copy = toy({ name: 'copy', content: true, inputs: [src], ...spec.copy });
  return toy({ name: 'make', inputs: [copy], ...spec.make });
}

const table: {
  what: string;
  then: Edge;
  misses: Record<string, readonly CacheMiss[] | undefined>;
  skipped?: string[];
}[] = [
  { what: 'nothing changed', then: chain(), misses: { make: undefined }, skipped: ['copy'] },
  {
    what: 'the last step is another one',
    then: chain({ make: { key: 'make --more' } }),
    misses: { make: [{ kind: 'operation' }], copy: undefined },
  },
  {
    what: 'a source is another one and has the same content',
    then: chain({ src: { key: 'src2', value: 'src()' } }),
    misses: { src: [{ kind: 'operation' }], make: undefined },
  },
  {
    what: 'a source has other content',
    then: chain({ src: { key: 'src2', value: 'other' } }),
    misses: {
      src: [{ kind: 'operation' }],
      copy: [{ kind: 'content', input: 0 }],
      make: [{ kind: 'input', input: 0 }],
    },
  },
  {
    what: 'what is done with known content is new',
    then: chain({ src: { key: 'src2', value: 'src()' }, copy: { key: 'copy elsewhere' } }),
    misses: { copy: [{ kind: 'operation' }], make: [{ kind: 'input', input: 0 }] },
  },
  {
    what: 'the cache is not to be used',
    then: chain({ copy: { options: { ignoreCache: true } } }),
    misses: { copy: [{ kind: 'ignored' }] },
  },
];

for (const { what, then, misses, skipped = [] } of table) {
  void test(`why a step runs: ${what}`, async () => {
    const world = new ToyWorld();
    await world.build('before', chain());
    const states = await follow(world, 'then', then);
    for (const [name, expected] of Object.entries(misses)) assert.deepEqual(states.get(name)?.misses, expected, name);
    for (const name of skipped) assert.equal(states.get(name)?.skipped, true, `${name} was skipped`);
  });
}

void test('why a step runs: its result is gone, or cannot be loaded', async () => {
  const keys = createMemoryKeyStore();
  const pruned = new ToyWorld(keys);
  await pruned.build('before', chain());
  pruned.kept.clear();
  // The key lives on while another result hangs on it.
  const states = await follow(pruned, 'then', chain());
  assert.deepEqual(states.get('src')?.misses, [{ kind: 'pruned' }]);

  const lost = new ToyWorld();
  await lost.build('before', chain());
  for (const id of lost.kept.keys()) lost.kept.set(id, 'gone');
  assert.deepEqual((await follow(lost, 'then', chain())).get('make')?.misses, [{ kind: 'lost' }]);
});

void test('why a step runs: inputs that are known, though not together', async () => {
  const world = new ToyWorld();
  const pair = (a: string, b: string): Edge =>
    toy({ name: 'pair', inputs: [toy({ name: a }), toy({ name: b })], value: `${a}${b}` });
  await world.build('1', pair('a', 'b'));
  await world.build('2', pair('c', 'd'));
  const states = await follow(world, '3', pair('a', 'd'));
  assert.deepEqual(states.get('pair')?.misses, [{ kind: 'combination' }]);
});

void test('a changed content is explained by the op, beside the run; what it cannot tell is left out', async () => {
  const change = { total: 2, lines: ['a content', 'b added'] };
  for (const explain of [async () => change, async () => Promise.reject(new Error('no memory'))]) {
    const world = new ToyWorld();
    await world.build('before', chain());
    const then = chain({ src: { key: 'src2', value: 'other' }, copy: { explain } });
    const [miss] = (await follow(world, 'then', then)).get('copy')?.misses ?? [];
    assert.equal(miss?.kind, 'content');
    assert.deepEqual(
      miss?.kind === 'content' ? miss.change : undefined,
      explain === undefined ? undefined : await explain().catch(() => undefined),
    );
  }
});
