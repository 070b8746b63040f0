/** Vertices that only count: what the solver's tests build. */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import assert from 'node:assert/strict';
import { notFound, throwIfAborted, toBuildError } from '../base/index.ts';
import { createCacheManager, createMemoryKeyStore, createSolver, Remains } from './index.ts';
import type {
  CacheManager,
  CacheMapDep,
  Edge,
  KeyStore,
  Op,
  Result,
  ResultStore,
  Solver,
  Vertex,
  VertexOptions,
} from './index.ts';

export function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

export interface ToySpec {
  readonly name: string;
  /** What cacheMap tells; the name where it is not given. */
  readonly key?: string;
  readonly inputs?: readonly Edge[];
  /** Made value; derived from name and inputs where it is not given. */
  readonly value?: string;
  readonly content?: boolean;
  readonly explain?: CacheMapDep['explain'];
  /** The digest of its inputs' content cannot be had. */
  readonly unreadable?: boolean;
  readonly options?: VertexOptions;
  readonly ms?: number;
  /** Called when it begins to run. */
  readonly started?: () => void;
  /** What cacheMap tells when it is asked once more. */
  readonly second?: string;
  readonly fail?: () => Error | undefined;
  readonly outputs?: number;
}

export function toy(spec: ToySpec, index = 0): Edge {
  const inputs = spec.inputs ?? [];
  const digest = digestOf(JSON.stringify([spec.name, inputs.map((i) => [i.vertex.digest, i.index])]));
  const vertex: Vertex = { digest, name: spec.name, inputs, sys: spec, options: spec.options ?? {} };
  return { vertex, index };
}

export class ToyWorld {
  readonly keys: KeyStore;
  readonly kept = new Map<string, string>();
  readonly solver: Solver;
  readonly cache: CacheManager;
  live = 0;
  loads = 0;
  readonly runs: string[] = [];
  readonly running = new Set<string>();
  #next = 0;

  constructor(keys: KeyStore = createMemoryKeyStore(), name = 'toy') {
    this.keys = keys;
    const results: ResultStore = {
      save: async (result, createdAt) => {
        const id = `r${this.#next++}`;
        this.kept.set(id, result.sys as string);
        return { id, createdAt };
      },
      load: async (id) => {
        this.loads++;
        const value = this.kept.get(id);
        if (value === undefined || value === 'gone') throw notFound(`no result ${id}`);
        return this.result(value);
      },
      exists: async (id) => this.kept.has(id),
    };
    this.cache = createCacheManager(name, keys, results);
    this.solver = createSolver({
      resolveOp: (vertex) => this.op(vertex),
      cache: this.cache,
    });
  }

  result(value: string): Result {
    this.live++;
    let released = false;
    return {
      id: value,
      sys: value,
      fork: () => {
        assert.equal(released, false, 'fork after release');
        return this.result(value);
      },
      release: async () => {
        assert.equal(released, false, 'released twice');
        released = true;
        this.live--;
      },
    };
  }

  op(vertex: Vertex): Op {
    const spec = vertex.sys as ToySpec;
    const key = spec.key?.startsWith('random:') ? spec.key : digestOf(spec.key ?? spec.name);
    return {
      cacheMap: async (_context, index) => ({
        map: {
          digest: index > 0 && spec.second !== undefined ? digestOf(spec.second) : key,
          deps: vertex.inputs.map(() =>
            spec.content
              ? {
                  computeDigest: async (r: Result) => {
                    if (spec.unreadable) throw notFound('no such content');
                    return digestOf(r.sys as string);
                  },
                  explain: spec.explain,
                }
              : {},
          ),
        },
        done: spec.second === undefined || index > 0,
      }),
      exec: async (context, inputs) => {
        assert.equal(this.running.has(vertex.digest), false, `${spec.name} runs twice at a time`);
        this.running.add(vertex.digest);
        try {
          this.runs.push(spec.name);
          spec.started?.();
          context.progress.log(1, Buffer.from(`run ${spec.name}\n`));
          const values = inputs.map((i) => i.sys as string);
          if (spec.ms !== undefined) await delay(spec.ms, undefined, { signal: context.signal });
          throwIfAborted(context.signal);
          const error = spec.fail?.();
          if (error !== undefined) {
            const left = { inputs: inputs.map((input) => input.fork()), made: [this.result('half')] };
            throw toBuildError(error).withAttachment(new Remains(left));
          }
          const value = spec.value ?? `${spec.name}(${values.join()})`;
          for (const input of inputs) input.fork().release().catch(assert.fail);
          return Array.from({ length: spec.outputs ?? 1 }, (_, i) => this.result(i === 0 ? value : `${value}@${i}`));
        } finally {
          this.running.delete(vertex.digest);
        }
      },
      acquire: async () => () => {},
    };
  }

  /** Builds in a job of its own and gives everything back. */
  async build(id: string, edge: Edge): Promise<string> {
    const job = this.solver.newJob(id);
    try {
      const result = await job.build(edge);
      const value = result.sys as string;
      await result.release();
      return value;
    } finally {
      await job.discard();
    }
  }
}
