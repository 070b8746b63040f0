import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { BuildError, Code, Deferred, throwIfAborted } from '../base/index.ts';
import { createMemoryKeyStore, createSolver, keysBelow, Remains, verticesOf } from './index.ts';
import type { Edge, Solver, StatusBatch, VertexState } from './index.ts';
import { digestOf, toy, ToyWorld } from './toy-graph.ts';

function chain(length: number, value?: string): Edge {
  let edge = toy({ name: 'c0', value });
  for (let i = 1; i < length; i++) edge = toy({ name: `c${i}`, value, inputs: [edge] });
  return edge;
}

async function drain(batches: AsyncIterable<StatusBatch>): Promise<StatusBatch[]> {
  const all: StatusBatch[] = [];
  for await (const b of batches) all.push(b);
  return all;
}

void test('a second build runs nothing and loads only the result', async () => {
  const world = new ToyWorld();
  const edge = chain(60);
  const value = await world.build('1', edge);
  assert.equal(world.runs.length, 60);
  assert.equal(await world.build('2', edge), value);
  assert.equal(world.runs.length, 60);
  assert.equal(world.loads, 1);
  assert.equal(world.live, 0);
});

void test('a step whose definition changed is cached when its input has the same content', async () => {
  const world = new ToyWorld();
  const copy = (key: string): Edge =>
    toy({ name: 'copy', content: true, inputs: [toy({ name: key, key: `random:${key}`, value: 'files' })] });
  await world.build('1', toy({ name: 'top', inputs: [copy('one')] }));
  await world.build('2', toy({ name: 'top', inputs: [copy('two')] }));
  assert.deepEqual(world.runs, ['one', 'copy', 'top', 'two']);
  assert.equal(world.live, 0);
});

void test('results that are gone are built again', async () => {
  const world = new ToyWorld();
  const edge = chain(4);
  const value = await world.build('1', edge);
  for (const id of world.kept.keys()) world.kept.set(id, 'gone');
  assert.equal(await world.build('2', edge), value);
  assert.equal(world.runs.length, 8);
  for (const id of world.kept.keys()) world.kept.delete(id);
  assert.equal(await world.build('3', edge), value);
  assert.equal(world.live, 0);
});

void test('two definitions of equal content share one run', async () => {
  const world = new ToyWorld();
  const job = world.solver.newJob('1');
  const make = (n: string): Edge =>
    toy({ name: `step-${n}`, key: 'step', ms: 20, inputs: [toy({ name: `base-${n}`, key: 'base', ms: 20 })] });
  const results = await Promise.all([job.build(make('x')), job.build(make('y'))]);
  assert.equal(world.runs.length, 2);
  await Promise.all(results.map((r) => r.release()));
  await job.discard();
  assert.equal(world.live, 0);
});

void test('the work of two jobs goes on until both have left', async () => {
  const world = new ToyWorld();
  const edge = toy({ name: 'slow', ms: 40 });
  const [one, two] = [world.solver.newJob('1'), world.solver.newJob('2')];
  const first = one.build(edge);
  const second = two.build(edge);
  first.catch(() => {});
  await new Promise((r) => setTimeout(r, 10));
  await one.discard();
  await assert.rejects(first, (e: BuildError) => e.isCanceled);
  const result = await second;
  assert.deepEqual(world.runs, ['slow']);
  await result.release();
  await two.discard();
  const three = world.solver.newJob('3');
  const other = toy({ name: 'never', ms: 10_000 });
  const third = three.build(other, AbortSignal.timeout(10));
  await assert.rejects(third);
  await three.discard();
  assert.equal(world.running.size, 0);
  assert.equal(world.live, 0);
});

void test('an error names its vertex and is not kept for a later job', async () => {
  const world = new ToyWorld();
  let broken = true;
  const bad = toy({ name: 'bad', fail: () => (broken ? new Error('boom') : undefined) });
  const edge = toy({ name: 'top', inputs: [bad] });
  const job = world.solver.newJob('1');
  await assert.rejects(job.build(edge), (e: BuildError) => {
    assert.equal(e.message, 'boom');
    assert.deepEqual(e.findDetail('errdefs.Vertex'), { digest: bad.vertex.digest });
    return true;
  });
  await assert.rejects(job.build(edge), /boom/);
  assert.deepEqual(world.runs, ['bad']);
  broken = false;
  assert.equal(await world.build('2', edge), 'top(bad())');
  await job.discard();
  assert.equal(world.live, 0);
});

void test('ignoreCache runs again and saves', async () => {
  const world = new ToyWorld();
  const a = toy({ name: 'a' });
  await world.build('1', toy({ name: 'b', inputs: [a] }));
  await world.build('2', toy({ name: 'b', inputs: [toy({ name: 'a', options: { ignoreCache: true } })] }));
  assert.deepEqual(world.runs, ['a', 'b', 'a', 'b']);
  await world.build('3', toy({ name: 'b', inputs: [a] }));
  assert.equal(world.runs.length, 4);
  assert.equal(world.live, 0);
});

void test('an imported cache serves, and what it gave is kept', async () => {
  const far = new ToyWorld(createMemoryKeyStore(), 'far');
  await far.build('1', chain(3));
  const near = new ToyWorld();
  let edge = toy({ name: 'c0', options: { cacheSources: [far.cache] } });
  for (const name of ['c1', 'c2']) edge = toy({ name, inputs: [edge], options: { cacheSources: [far.cache] } });
  await near.build('1', edge);
  assert.deepEqual(near.runs, []);
  await near.build('2', chain(3));
  assert.deepEqual(near.runs, []);
  assert.equal(near.live + far.live, 0);
});

void test('a prune forgets results that are gone', async () => {
  const world = new ToyWorld();
  await world.build('1', chain(3));
  world.kept.clear();
  await world.cache.releaseUnreferenced();
  assert.deepEqual(world.keys.resultIds('', 10), []);
  assert.deepEqual(await world.cache.query([], 0, digestOf('c0'), 0), []);
});

void test('a value is computed once for jobs that share it', async () => {
  const world = new ToyWorld();
  const job = world.solver.newJob('1');
  let calls = 0;
  const once = (): Promise<number> =>
    job.step({ digest: digestOf('o'), name: 'o' }, (c) => c.once('tag', async () => ++calls));
  assert.deepEqual(await Promise.all([once(), once(), once()]), [1, 1, 1]);
  await job.discard();
});

void test('what was held for jobs is given back when the last of them has ended', async () => {
  const world = new ToyWorld();
  const given: string[] = [];
  const solver = createSolver({
    cache: world.cache,
    resolveOp: ({ digest }) => ({
      cacheMap: async (context) => {
        context.defer(async () => void given.push('vertex'));
        return { map: { digest, deps: [] }, done: true };
      },
      exec: async () => [world.result('v')],
      acquire: async () => () => {},
    }),
  });
  const [a, b] = [solver.newJob('a'), solver.newJob('b')];
  for (const job of [a, b]) await (await job.build(toy({ name: 'shared' }))).release();
  await a.step({ digest: digestOf('o'), name: 'o' }, async (c) => c.defer(async () => void given.push('step')));
  assert.deepEqual(given, []);
  await a.discard();
  assert.deepEqual(given, ['step']);
  await b.discard();
  assert.deepEqual(given, ['step', 'vertex']);
  await solver.close();
});

test('outputs of one vertex share its run', async () => {
  const world = new ToyWorld();
  const spec = { name: 'two', outputs: 2, ms: 5 };
  assert.equal(
    await world.build('1', toy({ name: 'top', inputs: [toy(spec, 0), toy(spec, 1)] })),
    'top(two(),two()@1)',
  );
  assert.deepEqual(world.runs, ['two', 'top']);
  await assert.rejects(world.build('2', toy({ name: 'bad', inputs: [toy(spec, 7)] })), /need 7 index but 2 results/);
  assert.equal(world.live, 0);
});

void test('a long chain leaves the event loop free, exponential paths cost nothing', async () => {
  const world = new ToyWorld();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await world.build('1', chain(2000, 'same'));
  clearInterval(timer);
  assert.ok(ticks > 3, `${ticks} ticks`);
  let edge = toy({ name: 'm', value: 'm' });
  for (let i = 0; i < 200; i++) edge = toy({ name: `m${i}`, value: `m${i}`, inputs: [edge, edge] });
  assert.equal(await world.build('2', edge), 'm199');
  assert.equal(verticesOf(edge).length, 201);
  assert.equal(world.live, 0);
});

void test('keys of a result lead down to its roots', async () => {
  const world = new ToyWorld();
  const job = world.solver.newJob('1');
  const result = await job.build(chain(3));
  assert.deepEqual(
    keysBelow(result.cacheKeys).map((k) => k.digest),
    ['c0', 'c1', 'c2'].map(digestOf),
  );
  await result.release();
  await job.discard();
});

void test('what leads from a content is known by it in every daemon: its id has the output -1', async () => {
  const world = new ToyWorld();
  const job = world.solver.newJob('1');
  const source = toy({ name: 'in', key: 'random:x', value: 'files' });
  const result = await job.build(toy({ name: 'copy', content: true, inputs: [source] }));
  const id = createHash('sha256')
    .update(`${digestOf('files')}@-1`)
    .digest('hex');
  assert.deepEqual(
    keysBelow(result.cacheKeys)
      .filter((k) => k.deps.length === 0)
      .map((k) => [k.digest, k.output, k.id])
      .filter(([digest]) => digest === digestOf('files')),
    [[digestOf('files'), -1, `sha256:${id}`]],
  );
  await result.release();
  await job.discard();
});

void test('status: announced, started, completed; cached inputs; the same for every reader', async () => {
  const world = new ToyWorld();
  const edge = chain(3);
  const follow = async (id: string): Promise<VertexState[]> => {
    const job = world.solver.newJob(id);
    const live = drain(job.status());
    const result = await job.build(edge);
    await result.release();
    job.warn(edge.vertex.digest, { level: 1, short: Buffer.from('careful') });
    await job.step({ digest: digestOf('export'), name: 'exporting' }, async (c) =>
      c.progress.status({ id: 's', total: 3 }),
    );
    job.closeProgress();
    const [first, late] = await Promise.all([live, drain(job.status())]);
    assert.equal(first.flatMap((b) => b.warnings).length, 1);
    assert.equal(late.flatMap((b) => b.statuses)[0].total, 3);
    assert.deepEqual(
      late.flatMap((b) => b.logs).map((l) => Buffer.from(l.msg).toString()),
      first.flatMap((b) => b.logs).map((l) => Buffer.from(l.msg).toString()),
    );
    assert.equal(job.counts().total, 4);
    await job.discard();
    return first.flatMap((b) => b.vertexes);
  };
  const cold = (await follow('1')).filter((v) => v.name === 'c2');
  assert.equal(cold[0].started, undefined);
  assert.equal(cold.at(-1)?.cached, false);
  assert.notEqual(cold.at(-1)?.completed, undefined);
  const warm = await follow('2');
  assert.equal(warm.findLast((v) => v.name === 'c2')?.cached, true);
  assert.equal(warm.findLast((v) => v.name === 'c1')?.cached, true);
});

void test('what was running when the stream ended is told to be cancelled', async () => {
  const world = new ToyWorld();
  const job = world.solver.newJob('1');
  const status = drain(job.status());
  const build = job.build(toy({ name: 'slow', ms: 10_000 }));
  build.catch(() => {});
  while (world.running.size === 0) await new Promise((r) => setTimeout(r, 5));
  await job.discard();
  const last = (await status).flatMap((b) => b.vertexes).at(-1);
  assert.equal(last?.error, 'context canceled');
  assert.equal(world.live, 0);
});

void test('what a failed vertex left stays until its last job goes', async () => {
  const world = new ToyWorld();
  const input = toy({ name: 'in' });
  const edge = toy({ name: 'bad', inputs: [input], fail: () => new Error('boom') });
  const [one, two] = ['1', '2'].map((id) => world.solver.newJob(id));
  const [first, second] = await Promise.allSettled([one.build(edge), two.build(edge)]);
  assert.equal(first.status, 'rejected');
  assert.equal(second.status, 'rejected');
  const { attachment } = first.reason as BuildError;
  assert.ok(attachment instanceof Remains);
  await one.discard();
  const mine = attachment.made[0]?.fork();
  assert.equal(attachment.inputs[0]?.sys, 'in()');
  await two.discard();
  assert.equal(world.live, 1);
  await mine?.release();
  const unreadable = world.solver.newJob('3');
  const content = toy({ name: 'reader', inputs: [input], content: true, unreadable: true });
  const error = (await unreadable.build(content).catch((e: unknown) => e)) as BuildError;
  assert.deepEqual((error.attachment as Remains).subject, { kind: 'cache', index: 0 });
  assert.equal((error.attachment as Remains).inputs[0]?.sys, 'in()');
  await unreadable.discard();
  assert.equal(world.live, 0);
});

void test('jobs are found by id, also by those who come early', async () => {
  const { solver } = new ToyWorld();
  const early = solver.waitFor('x', 1000);
  const job = solver.newJob('x');
  assert.equal(await early, job);
  assert.throws(() => solver.newJob('x'), { code: Code.AlreadyExists, message: 'job ID x exists' });
  await assert.rejects(solver.waitFor('y', 5), { code: Code.NotFound, message: 'no such job y' });
  const refused = solver.waitFor('z', 1 << 30);
  solver.noJob('z');
  assert.equal(await refused, undefined);
  await solver.close();
});

void test('who asks for a job after it was refused is told at once, and only the first', async () => {
  const { solver } = new ToyWorld();
  const forEver = 1 << 30;
  solver.noJob('x');
  assert.equal(await solver.waitFor('x', forEver), undefined);
  await assert.rejects(solver.waitFor('x', 5), { message: 'no such job x' });
  solver.noJob('y');
  const job = solver.newJob('y');
  assert.equal(await solver.waitFor('y', forEver), job);
  await solver.close();
});

/** A step that builds another edge in its place; `started` is called when it runs. */
function nesting(world: ToyWorld, inner: Edge, started: () => void = () => {}): { solver: Solver; outer: Edge } {
  const outer = toy({ name: 'outer' });
  const solver = createSolver({
    cache: world.cache,
    resolveOp: (vertex) => {
      const op = world.op(vertex);
      if (vertex.digest !== outer.vertex.digest) return op;
      return {
        ...op,
        exec: async (context) => {
          started();
          return [await context.build(inner)];
        },
      };
    },
  });
  return { solver, outer };
}

void test('what a step builds for itself belongs to all who share the step', async () => {
  const world = new ToyWorld();
  const begun = new Deferred();
  const inner = toy({ name: 'inner', ms: 40, started: () => begun.resolve() });
  const { solver, outer } = nesting(world, inner);
  const [one, two] = [solver.newJob('1'), solver.newJob('2')];
  const first = one.build(outer);
  first.catch(() => {});
  await begun.promise;
  const second = two.build(outer);
  const seen = drain(two.status());
  await new Promise((r) => setImmediate(r));
  await one.discard();
  await assert.rejects(first, (e: BuildError) => e.isCanceled);
  const result = await second;
  assert.equal(result.sys, 'inner()');
  assert.deepEqual(world.runs, ['inner']);
  await result.release();
  await two.discard();
  const states = (await seen).flatMap((b) => b.vertexes);
  assert.notEqual(states.findLast((v) => v.name === 'inner')?.completed, undefined);
  assert.equal(world.live, 0);
  await solver.close();
});

void test('a step that builds itself, also by way of another, is refused and not waited for', async () => {
  const world = new ToyWorld();
  const outer = toy({ name: 'outer' });
  for (const inner of [outer, toy({ name: 'top', inputs: [outer] })]) {
    const { solver } = nesting(world, inner);
    const job = solver.newJob('1');
    await assert.rejects(job.build(outer), { code: Code.InvalidArgument, message: 'outer builds itself' });
    await job.discard();
    assert.equal(world.live, 0);
    await solver.close();
  }
});

void test('an edge is found again by the keys of those that were merged into it', async () => {
  const world = new ToyWorld();
  const origin = (name: string): Edge => toy({ name, key: name, second: 'the same', value: 'content' });
  const [a, b] = [origin('a'), origin('b')];
  // Both are known by their first key alone from now on.
  for (const edge of [a, b]) await world.build(`alone ${edge.vertex.name}`, toy({ name: 'use', inputs: [edge] }));
  world.kept.clear();
  const pair = toy({ name: 'pair', inputs: [a, b] });
  await world.build('1', pair);
  const runs = world.runs.length;
  assert.equal(await world.build('2', pair), 'pair(content,content)');
  assert.equal(world.runs.length, runs);
});

void test('a content that leads to a result is not looked up once more', async () => {
  const world = new ToyWorld();
  const edge = (key: string): Edge =>
    toy({ name: 'copy', content: true, inputs: [toy({ name: key, key: `random:${key}`, value: 'files' })] });
  await world.build('1', edge('one'));
  const asked: string[] = [];
  const query = world.cache.query.bind(world.cache);
  world.cache.query = async (inputs, input, digest, output) => {
    if (inputs.length === 0) asked.push(digest);
    return query(inputs, input, digest, output);
  };
  await world.build('2', edge('two'));
  assert.deepEqual(asked, ['random:two']);
});

void test('a step does not run while it is still being stopped for somebody who left', async () => {
  const world = new ToyWorld();
  const edge = toy({ name: 'slow' });
  const [begun, stopped] = [new Deferred(), new Deferred()];
  const log: string[] = [];
  const solver = createSolver({
    cache: world.cache,
    resolveOp: (vertex) => ({
      ...world.op(vertex),
      exec: async (context) => {
        log.push('begins');
        begun.resolve();
        // A process takes its time to die.
        if (log.length === 1) await stopped.promise;
        log.push(context.signal.aborted ? 'was stopped' : 'ends');
        throwIfAborted(context.signal);
        return [world.result('made')];
      },
    }),
  });
  const [one, two] = [solver.newJob('1'), solver.newJob('2')];
  const first = one.build(edge);
  first.catch(() => {});
  await begun.promise;
  const left = one.discard();
  const second = two.build(edge);
  for (let i = 0; i < 20; i++) await new Promise((r) => setImmediate(r));
  assert.deepEqual(log, ['begins']);
  stopped.resolve();
  await left;
  await (await second).release();
  assert.deepEqual(log, ['begins', 'was stopped', 'begins', 'ends']);
  await two.discard();
  assert.equal(world.live, 0);
  await solver.close();
});
