/**
 * The vocabulary of the graph engine. It knows of vertices, keys and results and nothing of what they are made of: `sys`
 * is opaque here and is what the caller's {@link ResolveOp} understands.
 */
import type { BuildError, StepProgress, TimeNs, WarningUpdate } from '../base/index.ts';

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
  /**
   * In words, how the content differs from what this step read when it ran last; remembers what it reads now. Called when
   * the step runs because the cache does not know the content. Must not fail for want of a memory.
   */
  readonly explain?: (result: Result, context: JobContext) => Promise<ContentChange | undefined>;
  /** Called before the content key is computed and before exec (unlazies the input). */
  readonly preprocess?: (result: Result, context: JobContext) => Promise<void>;
}

export interface CacheMap {
  /** `sha256:…`, or `random:…` for what may never be stored or exported. */
  readonly digest: string;
  /** One per input of the vertex. */
  readonly deps: readonly CacheMapDep[];
}

/** Differences between two contents of an input, one line each; `total` counts those that are left out too. */
export interface ContentChange {
  readonly total: number;
  readonly lines: readonly string[];
}

/**
 * Why a vertex ran: the part of its key that was looked up and missed.
 * - `ignored`: the cache was not to be used.
 * - `operation`: the inputs are known, what is done with them is not (for a vertex without inputs: it is not known at all).
 * - `input`: that input was made anew, and no cached result follows from it.
 * - `content`: that input was made anew, and its content is not known either.
 * - `combination`: every input leads to a cached result, no result follows from all of them.
 * - `pruned`: the key is known, its result is gone.
 * - `lost`: there was a result, it could not be loaded.
 */
export type CacheMiss =
  | { readonly kind: 'ignored' | 'operation' | 'combination' | 'pruned' | 'lost' }
  | { readonly kind: 'input'; readonly input: number }
  | { readonly kind: 'content'; readonly input: number; readonly change?: ContentChange };

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
  /** Calls `release` when the last job that shares the work has ended: what was found out for it can be held so long. */
  defer(release: () => Promise<void>): void;
  /**
   * Builds something for this work: whoever shares the work, now or later, shares what is built, and it goes on until the
   * last of them has left. The result is the caller's. Throws InvalidArgument for what could only wait for itself.
   */
  build(edge: Edge): Promise<CachedResult>;
}

export interface Op {
  /** Index 0 first; more are asked for, in order, while `done` is false. */
  cacheMap(context: JobContext, index: number): Promise<{ map: CacheMap; done: boolean }>;
  /** Inputs belong to the caller. One result per output, owned by the caller. */
  exec(context: JobContext, inputs: readonly Result[]): Promise<readonly Result[]>;
  /** Waits for a slot before exec (max-parallelism); returns the release. */
  acquire(signal: AbortSignal): Promise<() => void>;
  /** What a description of the build should tell of this step, as far as it is known by now. Opaque here. */
  facts?(): unknown;
}

export type ResolveOp = (vertex: Vertex) => Op;

export interface CacheKeySelector {
  readonly key: CacheKey;
  readonly selector?: string;
}

/**
 * What a result is found by. `id` is the identity of the key in this process and in the store that gave it; the rest
 * says how it came about, which a cache export writes down. Never changed once it is handed out.
 */
export interface CacheKey {
  readonly id: string;
  readonly digest: string;
  readonly output: number;
  /** For each input the keys that stand for it, any of them alone suffices; empty for a root. */
  readonly deps: readonly (readonly CacheKeySelector[])[];
  /** The ids under which managers know the key. */
  readonly stored: ReadonlyMap<CacheManager, string>;
  /** The vertex whose result it names; undefined for the key of an input's content. */
  readonly vertex?: string;
  /** As {@link VertexOptions.exportCache} of that vertex. */
  readonly exportCache?: boolean;
}

export interface CacheRecord {
  readonly id: string;
  readonly createdAt: bigint;
  /** Between records of the same age the lowest wins. */
  readonly priority: number;
  readonly manager: CacheManager;
  readonly key: CacheKey;
  readonly size?: number;
}

/** A store of keys and the results that they lead to: the daemon's own, or an imported cache (then read-only). */
export interface CacheManager {
  readonly id: string;
  /** Result keys reached from these keys of one input by this digest and output. No keys: the root key, when it is known. */
  query(
    inputs: readonly CacheKeySelector[],
    input: number,
    digest: string,
    output: number,
  ): Promise<readonly CacheKey[]>;
  records(key: CacheKey): Promise<readonly CacheRecord[]>;
  /** Throws NotFound when the record is gone (and forgets it). The result is the caller's. */
  load(record: CacheRecord): Promise<Result>;
  /** The result stays the caller's. Returns the key with its id in this store. */
  save(key: CacheKey, result: Result, createdAt: bigint): Promise<CacheKey>;
  /** Makes a key that was found by some of its inputs' keys reachable from all of them. */
  link(key: CacheKey): Promise<void>;
  /** Forgets results that the result store no longer has, and the keys that lead nowhere then. */
  releaseUnreferenced(signal?: AbortSignal): Promise<void>;
  /** All keys that lead to the key of that id in this store, not only those that it was found by. */
  waysTo?(id: string): readonly KeyWay[];
}

/** `digest` is that of the key led to together with its output, as cache exports write it. */
export interface KeyWay {
  readonly from: string;
  readonly input: number;
  readonly selector: string;
  readonly digest: string;
}

/** One step of a graph of keys: whoever has the parent key as that input of a vertex of that digest has the target. */
export interface KeyLink {
  readonly input: number;
  readonly output: number;
  readonly digest: string;
  /** Empty: the whole input. */
  readonly selector: string;
}

export interface StoredResult {
  readonly id: string;
  readonly createdAt: bigint;
}

/** Where a {@link CacheManager} keeps its graph. Calls are synchronous and must be cheap. What is damaged is not there. */
export interface KeyStore {
  /** Whether anything is known of the key: results, or links to others. */
  exists(key: string): boolean;
  links(key: string, link: KeyLink): readonly string[];
  addLink(key: string, link: KeyLink, target: string): void;
  /** The links that lead to the key. */
  backlinks(key: string): readonly { readonly key: string; readonly link: KeyLink }[];
  results(key: string): readonly StoredResult[];
  addResult(key: string, result: StoredResult): void;
  /** Ids in ascending order, after that id. */
  resultIds(after: string, limit: number): readonly string[];
  /** Takes the result from all keys; keys that then have neither results nor links go too, upwards. */
  release(resultId: string): void;
  /** All changes of `work` or none. */
  transaction<T>(work: () => T): T;
}

/** Keeps results between builds. */
export interface ResultStore {
  /** The result stays the caller's. */
  save(result: Result, createdAt: bigint): Promise<StoredResult>;
  /** Throws NotFound. The result is the caller's. */
  load(id: string): Promise<Result>;
  exists(id: string): Promise<boolean>;
}

/** A result and the keys that it can be found by. */
export interface CachedResult extends Result {
  /** As it was asked for. */
  readonly edge: Edge;
  readonly cacheKeys: readonly CacheKey[];
  /** Where it was loaded from; undefined when it was made by this daemon since it started. */
  readonly record?: CacheRecord;
  fork(): CachedResult;
}

/** One state of a vertex. The same digest may start and complete several times (cache lookup, then run): the last counts. */
export interface VertexState {
  readonly digest: string;
  readonly inputs: readonly string[];
  readonly name: string;
  readonly cached: boolean;
  readonly started?: TimeNs;
  readonly completed?: TimeNs;
  /** Empty: none. */
  readonly error: string;
  readonly progressGroup?: ProgressGroup;
  /** Why it runs or ran. */
  readonly misses?: readonly CacheMiss[];
  /** Shown as cached because nothing needed its result: it was neither run nor loaded. */
  readonly skipped?: boolean;
}

export interface VertexStatus {
  readonly id: string;
  readonly vertex: string;
  readonly name: string;
  readonly current: number;
  readonly total: number;
  readonly timestamp: TimeNs;
  readonly started?: TimeNs;
  readonly completed?: TimeNs;
}

export interface VertexLog {
  readonly vertex: string;
  readonly timestamp: TimeNs;
  readonly stream: 1 | 2;
  readonly msg: Uint8Array;
}

export interface VertexWarning extends WarningUpdate {
  readonly vertex: string;
}

/** What is new since the reader's last batch. At most about 1 MiB of logs; what is more follows in batches of its own. */
export interface StatusBatch {
  readonly vertexes: readonly VertexState[];
  readonly statuses: readonly VertexStatus[];
  readonly logs: readonly VertexLog[];
  readonly warnings: readonly VertexWarning[];
}

/** Counted by digest, as a client would from the whole stream. */
export interface StepCounts {
  readonly total: number;
  readonly cached: number;
  readonly completed: number;
  readonly warnings: number;
}

/** One build. Everything that it asked for is held until {@link discard}. */
export interface Job {
  readonly id: string;
  /** What ops of this job's vertices find by {@link JobContext.values}. */
  setValue(key: string, value: unknown): void;
  readonly values: ReadonlyMap<string, unknown>;
  addSession(id: string): void;
  readonly sessions: readonly string[];
  /** The result is the caller's. Rejects as soon as `signal` aborts or the job is discarded. */
  build(edge: Edge, signal?: AbortSignal): Promise<CachedResult>;
  /** What the ops of a finished edge, and of all below it, tell ({@link Op.facts}): each once, consumers first. */
  facts(edge: Edge): readonly unknown[];
  /** Work that is no vertex, shown as one while it runs. */
  step<T>(
    vertex: { readonly digest: string; readonly name: string; readonly progressGroup?: ProgressGroup },
    work: (context: JobContext) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T>;
  warn(digest: string, warning: WarningUpdate): void;
  /** From the start, for each reader. Ends with {@link closeProgress} or {@link discard}; throws when `signal` aborts. */
  status(signal?: AbortSignal): AsyncIterable<StatusBatch>;
  counts(): StepCounts;
  /** Ends the status streams; what happens later is not shown. */
  closeProgress(): void;
  /** Cancels what still runs and releases everything. Status stays readable for ten seconds. */
  discard(): Promise<void>;
}

export interface Solver {
  /** Throws AlreadyExists. */
  newJob(id: string, options?: { readonly sessions?: readonly string[] }): Job;
  /** What should have become a job was refused: whoever waits for it, or is the next to ask soon after, need not wait. */
  noJob(id: string): void;
  find(id: string): Job | undefined;
  /** Throws NotFound when no job of that id appears in time; undefined: it was refused ({@link noJob}). */
  waitFor(id: string, timeoutMs?: number, signal?: AbortSignal): Promise<Job | undefined>;
  /** Jobs that are not discarded. */
  readonly jobs: readonly Job[];
  /** Discards all jobs. */
  close(): Promise<void>;
}

export interface SolverOptions {
  readonly resolveOp: ResolveOp;
  /** The daemon's own cache: all results are saved there. */
  readonly cache: CacheManager;
  /** Adds to an error of a vertex what only the caller knows of it; the engine itself adds errdefs.Vertex. */
  readonly describeError?: (error: BuildError, vertex: Vertex) => BuildError;
}
