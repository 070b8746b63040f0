/** A vertex that at least one job holds: its op and what the op has told or made, shared by all its edges and jobs. */
import { abortable, jsonDetail, logger, throwIfAborted, toBuildError, wrapError } from '../base/index.ts';
import type { BuildError, StepProgress } from '../base/index.ts';
import { combineCaches } from './cache/combined-cache.ts';
import { Deferrals } from './deferrals.ts';
import { EdgeNode } from './edge/edge-node.ts';
import type { EdgeHost, SharedEdge } from './edge/shared-edge.ts';
import type { MergeIndex } from './edge/merge-index.ts';
import { VertexProgress } from './progress/vertex-progress.ts';
import { onceFor } from './once.ts';
import type { OnceValues } from './once.ts';
import { Remains } from './remains.ts';
import type { RunQueue } from './run-queue.ts';
import { SharedStep } from './shared-step.ts';
import type {
  CachedResult,
  CacheManager,
  CacheMap,
  CacheMapDep,
  CacheMiss,
  Edge,
  JobContext,
  Op,
  Result,
  SolverOptions,
  Vertex,
  VertexOptions,
} from './types.ts';

/** A job as its vertices see it. */
export interface Holder {
  readonly sessions: readonly string[];
  readonly values: ReadonlyMap<string, unknown>;
  readonly onceValues: OnceValues;
}

/** What all vertices share. */
export interface VertexSurroundings {
  readonly options: SolverOptions;
  readonly queue: RunQueue;
  readonly index: MergeIndex<SharedEdge>;
  follow(from: ActiveVertex, to: ActiveVertex): void;
  mayFollow(from: ActiveVertex, to: ActiveVertex): boolean;
  buildWithin(vertex: ActiveVertex, edge: Edge, signal: AbortSignal): Promise<CachedResult>;
}

/** Why a vertex runs, and the same again with what was found out about it meanwhile. */
interface Why {
  readonly misses: readonly CacheMiss[];
  readonly explained: Promise<readonly CacheMiss[]>;
}

export interface ActiveInput {
  readonly vertex: ActiveVertex;
  readonly index: number;
}

export class ActiveVertex implements EdgeHost {
  readonly graph: VertexSurroundings;
  readonly vertex: Vertex;
  /** Differs from the vertex' own where it runs beside the same vertex with cache. */
  readonly digest: string;
  readonly inputs: readonly ActiveInput[];
  /** Longest way down to a vertex without inputs. */
  readonly depth: number;
  readonly jobs = new Set<Holder>();
  /** Vertices that edges of this one were merged into, and those that its own work builds. */
  readonly followed = new Set<ActiveVertex>();
  readonly progress: VertexProgress;
  readonly #edges = new Map<number, EdgeNode>();
  readonly #caches = new Map<string, CacheManager>();
  readonly #maps = new Map<number, SharedStep<{ map: CacheMap; done: boolean }>>();
  readonly #contents = new Map<number, SharedStep<string | undefined>>();
  readonly #outputs = new SharedStep<readonly Result[]>(async (results) => {
    await Promise.all(results.map((r) => r.release()));
  });
  readonly #deferrals = new Deferrals();
  readonly #after: Promise<void>;
  #cache: CacheManager | undefined;
  #op: Op | undefined;
  #metadata: VertexOptions['metadata'];
  #closing: Promise<void> | undefined;

  /** Does not run before `after`. */
  constructor(
    graph: VertexSurroundings,
    vertex: Vertex,
    digest: string,
    inputs: readonly ActiveInput[],
    after = Promise.resolve(),
  ) {
    this.graph = graph;
    this.#after = after;
    this.vertex = vertex;
    this.digest = digest;
    this.inputs = inputs;
    this.depth = inputs.reduce((d, i) => Math.max(d, i.vertex.depth + 1), 0);
    this.#metadata = vertex.options.metadata;
    this.progress = new VertexProgress({
      digest,
      name: vertex.name,
      inputs: inputs.map((i) => i.vertex.digest),
      progressGroup: vertex.options.progressGroup,
    });
    this.addOptions(vertex.options, false);
  }

  get queue(): RunQueue {
    return this.graph.queue;
  }

  get index(): MergeIndex<SharedEdge> {
    return this.graph.index;
  }

  follow(other: EdgeHost): void {
    this.graph.follow(this, other as ActiveVertex);
  }

  mayFollow(other: EdgeHost): boolean {
    return this.graph.mayFollow(this, other as ActiveVertex);
  }

  get ignoreCache(): boolean {
    return this.vertex.options.ignoreCache === true;
  }

  get cache(): CacheManager {
    return (this.#cache ??= combineCaches(this.graph.options.cache, [...this.#caches.values()]));
  }

  /** What another job's copy of this vertex brings. Throws when the two cannot be one. */
  addOptions(options: VertexOptions, merge = true): void {
    for (const cache of options.cacheSources ?? []) {
      if (this.#caches.has(cache.id) || cache.id === this.graph.options.cache.id) continue;
      this.#caches.set(cache.id, cache);
      this.#cache = undefined;
    }
    if (!merge || options.metadata === undefined) return;
    const known = this.#metadata;
    this.#metadata =
      known === undefined
        ? options.metadata
        : { value: options.metadata.merge(known.value), merge: (o) => options.metadata?.merge(o) };
  }

  addCaches(from: ActiveVertex): void {
    this.addOptions({ cacheSources: [...from.#caches.values()] });
  }

  edge(index: number): SharedEdge {
    let node = this.#edges.get(index);
    if (node === undefined) this.#edges.set(index, (node = new EdgeNode(this, index)));
    return node.current;
  }

  #getOp(): Op {
    if (this.#op === undefined) {
      const options =
        this.#metadata === undefined ? this.vertex.options : { ...this.vertex.options, metadata: this.#metadata };
      this.#op = this.graph.options.resolveOp({ ...this.vertex, options });
    }
    return this.#op;
  }

  /** What the op tells; undefined while nobody has asked it for anything. */
  facts(): unknown {
    return this.#op?.facts?.();
  }

  context(signal: AbortSignal, progress: StepProgress = this.progress): JobContext {
    return {
      signal,
      progress,
      sessions: () => [...new Set([...this.jobs].flatMap((j) => j.sessions))],
      values: (key) => [...this.jobs].flatMap((j) => (j.values.has(key) ? [j.values.get(key)] : [])),
      once: (key, work) => onceFor(() => this.jobs, key, work, signal),
      defer: (release) => this.#deferrals.add(release),
      build: (edge) => this.graph.buildWithin(this, edge, signal),
    };
  }

  #describe(thrown: unknown): BuildError {
    let error = toBuildError(thrown);
    const { attachment } = error;
    if (attachment instanceof Remains) this.#deferrals.add(() => attachment.release());
    const { describeError } = this.graph.options;
    if (describeError !== undefined) error = describeError(error, this.vertex);
    return error.withDetail(jsonDetail('errdefs.Vertex', { digest: this.vertex.digest }));
  }

  /** Runs `work`, shown as a start of the vertex where `shown`; errors get the vertex as a detail. */
  async #tracked<T>(shown: boolean, work: () => Promise<T>, why?: Why): Promise<T> {
    const end = shown ? this.progress.start(false, why?.misses) : undefined;
    try {
      const value = await work();
      end?.({ cached: false, misses: await why?.explained });
      return value;
    } catch (error) {
      const described = this.#describe(error);
      if (end !== undefined) end({ cached: false, error: described.message, misses: await why?.explained });
      throw described;
    }
  }

  /** Beside the run: what changed in the content of inputs, as far as the op can tell. Never fails. */
  #explain(misses: readonly CacheMiss[], inputs: readonly Result[], signal: AbortSignal): Promise<CacheMiss[]> {
    const map = this.#maps.get(0)?.value?.map;
    return Promise.all(
      misses.map(async (miss) => {
        const explain = miss.kind === 'content' ? map?.deps[miss.input]?.explain : undefined;
        if (miss.kind !== 'content' || explain === undefined) return miss;
        try {
          return { ...miss, change: await explain(inputs[miss.input], this.context(signal)) };
        } catch (error) {
          logger.debug('a cache miss could not be explained', { vertex: this.vertex.name, error });
          return miss;
        }
      }),
    );
  }

  async cacheMap(index: number, signal: AbortSignal): Promise<{ map: CacheMap; done: boolean }> {
    let step = this.#maps.get(index);
    if (step === undefined) this.#maps.set(index, (step = new SharedStep()));
    try {
      return await step.get(signal, (s) =>
        this.#tracked(this.inputs.length === 0, async () => this.#getOp().cacheMap(this.context(s), index)),
      );
    } catch (error) {
      throw wrapError(error, 'failed to load cache key');
    }
  }

  /** Content key of an input's result; undefined where it only had to be prepared. */
  content(
    index: number,
    dep: CacheMapDep,
    input: Result,
    from: EdgeHost,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    let step = this.#contents.get(index);
    if (step === undefined) this.#contents.set(index, (step = new SharedStep()));
    return step.get(signal, async (s) => {
      const held = input.fork();
      try {
        await dep.preprocess?.(held, this.context(s, from.progress));
        return await dep.computeDigest?.(held, this.context(s));
      } catch (error) {
        const remains = new Remains({ inputs: [held.fork()], made: [], subject: { kind: 'cache', index } });
        const described = this.#describe(toBuildError(error).withAttachment(remains));
        this.progress.start(false)({ cached: false, error: described.message });
        throw described;
      } finally {
        await held.release();
      }
    });
  }

  /** All outputs; they stay the vertex'. */
  run(inputs: readonly Result[], misses: readonly CacheMiss[], signal: AbortSignal): Promise<readonly Result[]> {
    return this.#outputs.get(signal, async (s) => {
      // Held until the op has really ended, also when the jobs, and with them the input vertices, have gone before.
      const held = inputs.map((r) => r.fork());
      try {
        await abortable(this.#after, s);
        const op = this.#getOp();
        const release = await op.acquire(s).catch((error: unknown) => {
          throw this.#describe(wrapError(error, 'acquire op resources'));
        });
        try {
          throwIfAborted(s);
          const why = { misses, explained: this.#explain(misses, held, s) };
          return await this.#tracked(true, () => op.exec(this.context(s), held), why);
        } finally {
          release();
        }
      } finally {
        await Promise.all(held.map((r) => r.release()));
      }
    });
  }

  /** A job that comes later tries again what failed for those before it. */
  forgetErrors(): void {
    for (const step of [...this.#maps.values(), ...this.#contents.values(), this.#outputs]) step.forgetError();
    for (const edge of this.#edges.values()) edge.forgetError();
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await Promise.all([...this.#edges.values()].map((e) => e.close()));
      const steps = [...this.#maps.values(), ...this.#contents.values(), this.#outputs];
      await Promise.all(steps.map((s) => s.close()));
      await this.#deferrals.end();
    })();
    return this.#closing;
  }
}
