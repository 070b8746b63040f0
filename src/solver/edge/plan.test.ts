import assert from 'node:assert/strict';
import test from 'node:test';
import { makeKey } from '../cache/key.ts';
import type { CacheManager, CacheRecord } from '../types.ts';
import { Level, newEdgeState } from './edge-state.ts';
import type { DepState, EdgeState } from './edge-state.ts';
import { plan } from './plan.ts';

const KEY = makeKey({ id: 'k', digest: 'sha256:k', output: 0 });
const MAP = { digest: 'sha256:d', deps: [] };

function record(id: string, createdAt: bigint): CacheRecord {
  return { id, createdAt, priority: 0, manager: {} as CacheManager, key: KEY };
}

function edge(inputs: number, change: Partial<EdgeState>, ...deps: Partial<DepState>[]): EdgeState {
  const s = Object.assign(newEdgeState(false, inputs), { maps: [MAP], mapsDone: true, want: Level.COMPLETE }, change);
  for (const [i, d] of deps.entries()) Object.assign(s.deps[i], d);
  return s;
}

const matched = (): Partial<DepState> => ({ keys: 1, probed: 1, matches: new Map([['k', KEY]]) });
const needed = { kind: 'needed', digests: true } as const;

const table: { name: string; state: EdgeState; work: string[]; deps: Level[]; level: Level }[] = [
  { name: 'nobody waits', state: edge(1, { want: Level.NONE }), work: [], deps: [0], level: 0 },
  { name: 'map and inputs at once', state: edge(1, { maps: [] }), work: ['map'], deps: [1], level: 0 },
  { name: 'a root asks for its key', state: edge(0, {}), work: ['probe'], deps: [], level: 0 },
  { name: 'a root that is not known runs', state: edge(0, { rootsProbed: 1 }), work: ['run'], deps: [], level: 2 },
  {
    name: 'a root with another map asks on',
    state: edge(0, { rootsProbed: 1, mapsDone: false }),
    work: ['map'],
    deps: [],
    level: 0,
  },
  {
    name: 'a known root is enough for a consumer',
    state: edge(0, { rootsProbed: 1, mapsDone: false, want: Level.SLOW, keys: [KEY], keysSearched: 1 }),
    work: [],
    deps: [],
    level: 2,
  },
  { name: 'new keys are probed', state: edge(1, {}, { level: 1, keys: 1 }), work: ['probe'], deps: [0], level: 0 },
  {
    name: 'new matches are searched for records',
    state: edge(1, { keys: [KEY] }, { ...matched(), level: 1 }),
    work: ['search'],
    deps: [0],
    level: 0,
  },
  {
    name: 'the newest record is loaded, inputs are let go',
    state: edge(
      1,
      { keys: [KEY], keysSearched: 1, records: [record('a', 1n), record('b', 2n)] },
      { ...matched(), level: 1 },
    ),
    work: ['load b'],
    deps: [0],
    level: 2,
  },
  {
    name: 'a record is not loaded for who wants keys',
    state: edge(
      1,
      { want: Level.SLOW, keys: [KEY], keysSearched: 1, records: [record('a', 1n)] },
      { ...matched(), level: 1 },
    ),
    work: [],
    deps: [0],
    level: 2,
  },
  {
    name: 'one hopeless input: all are made',
    state: edge(2, {}, { level: 2 }, { ...matched(), level: 1 }),
    work: [],
    deps: [3, 3],
    level: 2,
  },
  {
    name: 'hopeless, but nobody wants the result',
    state: edge(2, { want: Level.SLOW }, { level: 2 }, { ...matched(), level: 1 }),
    work: [],
    deps: [0, 0],
    level: 2,
  },
  {
    name: 'content of the blind input first',
    state: edge(2, {}, { level: 2, content: needed }, { ...matched(), level: 2, content: needed }),
    work: [],
    deps: [3, 0],
    level: 1,
  },
  {
    name: 'then its content key',
    state: edge(2, {}, { level: 3, content: needed }, { ...matched(), level: 2, content: needed }),
    work: ['content'],
    deps: [0, 0],
    level: 1,
  },
  {
    name: 'the content key is also made before a run',
    state: edge(2, { hopeless: true }, { level: 3, content: needed }, { level: 3 }),
    work: ['content'],
    deps: [3, 3],
    level: 2,
  },
  { name: 'all there: it runs', state: edge(1, {}, { level: 3 }), work: ['run'], deps: [3], level: 2 },
  {
    name: 'without cache nothing is asked',
    state: edge(1, { ignoreCache: true }, { level: 3 }),
    work: ['run'],
    deps: [3],
    level: 2,
  },
];

for (const { name, state, work, deps, level } of table) {
  void test(`plan: ${name}`, () => {
    const p = plan(state);
    assert.deepEqual(
      p.work.map((w) => (w.kind === 'load' ? `load ${w.record.id}` : w.kind)),
      work,
    );
    assert.deepEqual(p.deps, deps);
    assert.equal(p.level, level);
  });
}

void test('plan: the failure of an input that is needed is its own', () => {
  const error = new Error('boom');
  assert.equal(plan(edge(1, {}, { level: 2, error })).failure?.error, error);
  assert.equal(plan(edge(1, { want: Level.SLOW }, { level: 2, error })).failure, undefined);
});
