/**
 * The vocabulary of the graph engine. It knows of vertices, keys and results and nothing of what they are made of: `sys`
 * is opaque here and is what the caller's {@link ResolveOp} understands.
 */
import type { StepProgress } from '../base/index.ts';

export interface Edge {
  readonly vertex: Vertex;
  /** Which of the vertex' outputs. */
  readonly index: number;
}

export interface Vertex {
  /** `sha256:…` over the definition up to and with this vertex. */
  readonly digest: string;
  readonly name: string;
  readonly inputs: readonly Edge[];
  readonly sys: unknown;
  readonly options: VertexOptions;
}

export interface ProgressGroup {
  readonly id: string;
  readonly name: string;
  readonly weak: boolean;
}

/** What does not change a vertex' identity. */
export interface VertexOptions {
  readonly ignoreCache?: boolean;
  /** Imported caches to look into beside the main one. */
  readonly cacheSources?: readonly CacheManager[];
  readonly description?: ReadonlyMap<string, string>;
  /** false hides the vertex from cache exports, true forces a record. */
  readonly exportCache?: boolean;
  readonly progressGroup?: ProgressGroup;
  /** Merged when two jobs share the vertex: `merge` returns the value for both or throws. */
  readonly metadata?: { readonly value: unknown; merge(other: unknown): unknown };
}

/** A value with one owner. `fork` makes a second owner; disposing one owner twice throws. */
export interface Result {
  readonly id: string;
  readonly sys: unknown;
  fork(): Result;
  release(): Promise<void>;
}

export interface CacheMapDep {
  /** `sha256:…` of the part of the input that is used; undefined: all of it. */
  readonly selector?: string;
  /** Content key of the input; undefined: the input has no content key. */
  readonly computeDigest?: (result: Result, context: JobContext) => Promise<string>;
  /** Called before the content key is computed and before exec (unlazies the input). */
  readonly preprocess?: (result: Result, context: JobContext) => Promise<void>;
}

export interface CacheMap {
  /** `sha256:…`, or `random:…` for what may never be stored or exported. */
  readonly digest: string;
  /** One per input of the vertex. */
  readonly deps: readonly CacheMapDep[];
}

/** What an op sees of the jobs that wait for it. */
export interface JobContext {
  /** Aborts only when every job that waits for this vertex has gone. */
  readonly signal: AbortSignal;
  readonly progress: StepProgress;
  /** Session ids of all jobs that share the vertex, now. */
  sessions(): readonly string[];
  /** The job values of that name, of all jobs that share the vertex (upstream's EachValue). */
  values(key: string): readonly unknown[];
  /**
   * One value per key and graph of related jobs: the first caller computes, the others wait for it and get the same
   * (used so that a tag is resolved once a build).
   */
  once<T>(key: string, work: () => Promise<T>): Promise<T>;
}

export interface Op {
  /** Index 0 first; more are asked for, in order, while `done` is false. */
  cacheMap(context: JobContext, index: number): Promise<{ map: CacheMap; done: boolean }>;
  /** Inputs belong to the caller. One result per output, owned by the caller. */
  exec(context: JobContext, inputs: readonly Result[]): Promise<readonly Result[]>;
  /** Waits for a slot before exec (max-parallelism); returns the release. */
  acquire(signal: AbortSignal): Promise<() => void>;
}

export type ResolveOp = (vertex: Vertex) => Op;

export interface CacheKeySelector {
  readonly key: CacheKey;
  readonly selector?: string;
}

export interface CacheKey {
  readonly id: string;
}

export interface CacheRecord {
  readonly id: string;
  readonly createdAt: bigint;
  readonly priority: number;
  readonly manager: CacheManager;
  readonly key: CacheKey;
  readonly size?: number;
}

/** A store of keys and the results that they lead to: the daemon's own, or an imported cache (then read-only). */
export interface CacheManager {
  readonly id: string;
  /** Result keys reached from these input keys by this digest and output; no inputs: the root key itself. */
  query(
    inputs: readonly CacheKeySelector[],
    input: number,
    digest: string,
    output: number,
  ): Promise<readonly CacheKey[]>;
  records(key: CacheKey): Promise<readonly CacheRecord[]>;
  /** Throws NotFound when the record is gone: the engine then drops it and goes on. */
  load(record: CacheRecord): Promise<Result>;
  save(key: CacheKey, result: Result, createdAt: bigint): Promise<CacheKey>;
  releaseUnreferenced(): Promise<void>;
}
