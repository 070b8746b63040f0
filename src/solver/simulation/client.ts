/** A build of the simulated world: asks for edges, gives some of them up, watches, leaves; checks what it gets. */
import assert from 'node:assert/strict';
import { BuildError } from '../../base/index.ts';
import { keysBelow } from '../cache/key.ts';
import type { CachedResult, Job, StatusBatch, VertexOptions } from '../types.ts';
import type { Chance } from './chance.ts';
import { alone, below } from './plot.ts';
import type { Node } from './plot.ts';
import { EXPECTED_LOGS } from './world.ts';
import type { World } from './world.ts';

interface Request {
  readonly node: Node;
  readonly abort: AbortController;
}

export class Client {
  readonly id: string;
  readonly #world: World;
  readonly #chance: Chance;
  readonly #job: Job;
  readonly #open = new Set<Request>();
  readonly #kept: CachedResult[] = [];
  readonly #readers: Promise<void>[] = [];
  readonly #expectedLogs = new Set<string>();
  #ending: Promise<void> | undefined;
  hasEnded = false;

  constructor(world: World, chance: Chance, id: string) {
    this.id = id;
    this.#world = world;
    this.#chance = chance;
    this.#job = world.solver.newJob(id, { sessions: [id] });
    this.#job.setValue(EXPECTED_LOGS, this.#expectedLogs);
  }

  get isBusy(): boolean {
    return this.#open.size > 0;
  }

  get isLeaving(): boolean {
    return this.#ending !== undefined;
  }

  /** Some of the vertices without cache, some with imported ones. */
  #options(): (node: Node) => VertexOptions {
    const r = this.#chance;
    const without = r.chance(0.2) ? 0.3 : 0;
    const { remotes } = this.#world;
    const cacheSources = remotes.filter(() => r.chance(0.5)).map((remote) => remote.manager);
    return () => ({
      ignoreCache: r.chance(without),
      cacheSources,
      ...(r.chance(0.3) ? { metadata: { value: 1, merge: (other) => other } } : {}),
    });
  }

  /** Resolves when the answer is there and was right. */
  async ask(node: Node): Promise<void> {
    const request = { node, abort: new AbortController() };
    this.#open.add(request);
    const output = this.#chance.below(node.kind.outputs);
    try {
      const result = await this.#job.build(this.#world.edge(node, output, this.#options()), request.abort.signal);
      assert.equal(result.sys, alone(node, output), `result of ${node.name}`);
      assert.ok(keysBelow(result.cacheKeys).length > 0, `${node.name} has no keys`);
      if (this.#chance.chance(0.5)) this.#kept.push(result);
      else await result.release();
    } catch (error) {
      this.#judge(error, request);
    } finally {
      this.#open.delete(request);
    }
  }

  /** What may go wrong is that somebody gave up, or that something which the request needs has failed. */
  #judge(error: unknown, { node, abort }: Request): void {
    if (!(error instanceof BuildError)) throw error;
    if (error.isCanceled && (abort.signal.aborted || this.isLeaving)) return;
    const [failure] = /failure \d+ in [^:]*/.exec(error.message) ?? [];
    assert.ok(
      failure !== undefined && this.#world.failures.has(failure),
      `${node.name} of ${this.id} ended with: ${error.message}`,
    );
    const kind = this.#world.failures.get(failure);
    if (kind === undefined) assert.fail(`a failure of the cache became one of ${node.name}: ${error.message}`);
    assert.ok(
      [...below(node)].some(({ kind: k }) => k === kind || (k.origin !== undefined && k.origin === kind.origin)),
      `${node.name} ended with a failure that is not its own: ${error.message}`,
    );
  }

  giveUp(): void {
    const requests = [...this.#open];
    if (requests.length > 0) this.#chance.pick(requests).abort.abort();
  }

  /** Reads the status from its start to its end. */
  watch(): void {
    const read = async (): Promise<void> => {
      const logs = new Set<string>();
      const open = new Map<string, string>();
      for await (const batch of this.#job.status()) take(batch, logs, open);
      assert.deepEqual([...open.values()], [], 'steps that never end');
      for (const line of this.#expectedLogs) assert.ok(logs.has(line), `${this.id} never saw ${line}`);
    };
    this.#readers.push(read());
  }

  /** Resolves when nothing is left of the build, and what it had was usable until then. */
  end(): Promise<void> {
    this.#ending ??= (async () => {
      if (this.#chance.chance(0.3)) this.#job.closeProgress();
      const early = this.#kept.splice(0, this.#chance.below(this.#kept.length + 1));
      for (const result of early) await result.release();
      await this.#job.discard();
      for (const result of this.#kept.splice(0)) {
        await result.fork().release();
        await result.release();
      }
      await Promise.all(this.#readers);
      this.hasEnded = true;
    })();
    return this.#ending;
  }
}

function take(batch: StatusBatch, logs: Set<string>, open: Map<string, string>): void {
  for (const { digest, name, started, completed } of batch.vertexes) {
    if (started !== undefined && completed === undefined) open.set(digest, name);
    if (completed !== undefined) open.delete(digest);
  }
  for (const { msg } of batch.logs) {
    for (const line of Buffer.from(msg)
      .toString()
      .split(/(?<=\n)/))
      logs.add(line);
  }
}
