/** The simulated world: ops that do nothing but wait, fail and check that they are called as they should be. */
import assert from 'node:assert/strict';
import { BuildError, Code, Semaphore, toBuildError } from '../../base/index.ts';
import { Graph } from '../graph.ts';
import { Remains } from '../remains.ts';
import { RunQueue } from '../run-queue.ts';
import { createSolver } from '../solver.ts';
import type {
  CacheMapDep,
  Edge,
  JobContext,
  Op,
  Result,
  Solver,
  SolverOptions,
  Vertex,
  VertexOptions,
} from '../types.ts';
import { Chance } from './chance.ts';
import { alone, make, partOf, sha256 } from './plot.ts';
import type { Kind, Node } from './plot.ts';
import type { Stage } from './stage.ts';
import { Store } from './store.ts';

/** Job value: where the lines go that a reader of the job's status must have got. */
export const EXPECTED_LOGS = 'expected logs';

export class World {
  readonly graph: Graph;
  readonly solver: Solver;
  readonly store: Store;
  readonly remotes: readonly Store[];
  /** How likely a piece of work fails, and a cache takes its time. */
  faults = 0;
  slowness = 0;
  /** Results that nobody has released yet. */
  live = 0;
  runs = 0;
  readonly running = new Set<string>();
  /** What was held for jobs and not given back. */
  deferred = 0;
  /** The kinds of those that failed, by what the error says. */
  readonly failures = new Map<string, Kind | undefined>();
  readonly #chance: Chance;
  readonly #stage: Stage;
  readonly #slots: Semaphore;
  #used = 0;

  constructor(chance: Chance, stage: Stage) {
    this.#chance = chance;
    this.#stage = stage;
    this.#slots = new Semaphore(chance.pick([0, 1, 2]));
    const surroundings = {
      pause: (what: string) => this.#pause(what),
      result: (content: string) => this.result(content),
    };
    this.store = new Store('store', surroundings);
    this.remotes = Array.from({ length: chance.below(3) }, (_, i) => new Store(`remote${i}`, surroundings));
    const options = this.#optionsWith(this.store);
    // In some worlds time is short, so that work on the graph is cut in pieces.
    const hurry = new Chance(chance.below(2 ** 30));
    const step = chance.pick([0, 0, 0.05, 0.5]);
    let now = 0;
    this.graph = new Graph(options, new RunQueue(() => (now += hurry.chance(step) ? 10 : 0)));
    this.solver = createSolver(options, this.graph);
  }

  #optionsWith(store: Store): SolverOptions {
    return { cache: store.manager, resolveOp: (vertex) => this.#op(vertex) };
  }

  /** A daemon elsewhere that writes one of the remote caches. */
  elsewhere(remote: Store): Solver {
    const options = this.#optionsWith(remote);
    return createSolver(options, new Graph(options, new RunQueue(() => 0)));
  }

  get isIdle(): boolean {
    return this.live === 0 && this.running.size === 0 && this.deferred === 0 && this.#used === 0;
  }

  async #pause(what: string): Promise<void> {
    if (this.#chance.chance(this.slowness)) await this.#stage.wait(what);
    this.#mayFail(what);
  }

  #mayFail(what: string, kind?: Kind): void {
    if (!this.#chance.chance(this.faults)) return;
    const message = `failure ${this.failures.size} in ${what}`;
    this.failures.set(message, kind);
    this.#stage.tell(message);
    throw new BuildError(this.#chance.pick([Code.Internal, Code.NotFound]), message);
  }

  result(content: string): Result {
    this.live++;
    let released = false;
    return {
      id: content,
      sys: content,
      fork: () => {
        assert.equal(released, false, 'fork after release');
        return this.result(content);
      },
      release: async () => {
        assert.equal(released, false, 'released twice');
        released = true;
        this.live--;
      },
    };
  }

  /** The edge of a definition of its own: the same digests each time, other vertices and options. */
  edge(node: Node, output: number, options: (node: Node) => VertexOptions): Edge {
    const made = new Map<Node, Vertex>();
    const vertexOf = (n: Node): Vertex => {
      let vertex = made.get(n);
      if (vertex === undefined) {
        const inputs = n.inputs.map((i) => ({ vertex: vertexOf(i.node), index: i.output }));
        const digest = sha256(JSON.stringify([n.name, inputs.map((i) => [i.vertex.digest, i.index])]));
        made.set(n, (vertex = { digest, name: n.name, inputs, sys: n, options: options(n) }));
      }
      return vertex;
    };
    return { vertex: vertexOf(node), index: output };
  }

  #op(vertex: Vertex): Op {
    const node = vertex.sys as Node;
    const { kind } = node;
    const told = new Set<string>();
    const once = (what: string): void => {
      assert.equal(told.has(what), false, `${node.name} is asked again for its ${what}`);
      told.add(what);
    };
    const work = async (what: string, { signal }: JobContext): Promise<void> => {
      await this.#stage.wait(`${what} of ${node.name}`, signal);
      this.#mayFail(`${what} of ${node.name}`, kind);
    };
    return {
      cacheMap: async (context, index) => {
        this.deferred++;
        context.defer(async () => void this.deferred--);
        await work('key', context);
        if (kind.inputs.length === 0) await context.once(`tag ${kind.id}`, () => work('tag', context));
        once(`key ${index}`);
        const isLast = kind.origin === undefined || index === 1;
        const digest = kind.random
          ? `random:${kind.id}`
          : sha256(index === 1 ? `origin ${kind.origin}` : `kind ${kind.id}`);
        return { map: { digest, deps: kind.inputs.map((_, i) => this.#dep(kind, i, work, once)) }, done: isLast };
      },
      exec: async (context, inputs) => {
        const name = `${vertex.digest} ${vertex.options.ignoreCache === true}`;
        assert.equal(this.running.has(name), false, `${node.name} runs twice at a time`);
        assert.equal(told.has('run'), false, `${node.name} runs again`);
        this.running.add(name);
        try {
          const outputs = await this.#run(node, context, inputs, work);
          told.add('run');
          return outputs;
        } finally {
          this.running.delete(name);
        }
      },
      acquire: async (signal) => {
        if (kind.nested !== undefined) return () => {};
        const release = await this.#slots.acquire(signal);
        this.#used++;
        return () => {
          this.#used--;
          release();
        };
      },
    };
  }

  #dep(
    kind: Kind,
    i: number,
    work: (what: string, context: JobContext) => Promise<void>,
    once: (what: string) => void,
  ): CacheMapDep {
    const { part, content, preprocess } = kind.inputs[i];
    return {
      ...(part === 'all' ? {} : { selector: sha256(part) }),
      ...(preprocess ? { preprocess: (_, context) => work(`preparation ${i}`, context) } : {}),
      ...(content
        ? {
            computeDigest: async (result, context) => {
              await work(`content ${i}`, context);
              once(`content ${i}`);
              return sha256(partOf(result.sys as string, part));
            },
            explain: (_, context) => work(`explanation ${i}`, context).then(() => undefined),
          }
        : {}),
    };
  }

  async #run(
    node: Node,
    context: JobContext,
    inputs: readonly Result[],
    work: (what: string, context: JobContext) => Promise<void>,
  ): Promise<Result[]> {
    const contents = inputs.map((input) => input.sys as string);
    assert.deepEqual(
      contents,
      node.inputs.map((i) => alone(i.node, i.output)),
      `inputs of ${node.name}`,
    );
    const line = `run ${++this.runs} of kind ${node.kind.id}\n`;
    context.progress.log(1, Buffer.from(line));
    try {
      await work('run', context);
    } catch (error) {
      const left = { inputs: inputs.map((input) => input.fork()), made: [this.result('half')] };
      throw toBuildError(error).withAttachment(new Remains(left));
    }
    for (const logs of context.values(EXPECTED_LOGS)) (logs as Set<string>).add(line);
    if (node.kind.nested !== undefined) return [await context.build(this.edge(node.kind.nested, 0, () => ({})))];
    return Array.from({ length: node.kind.outputs }, (_, i) => this.result(make(node.kind, contents, i)));
  }
}
