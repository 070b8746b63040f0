/** What the parts of an edge, and those who wait for it, know of each other. */
import type { StepProgress } from '../../base/index.ts';
import type { RunQueue } from '../run-queue.ts';
import type { CacheKey, CacheManager, CacheMap, CacheMapDep, CacheMiss, Result, Vertex } from '../types.ts';
import type { EdgeState, Level } from './edge-state.ts';
import type { MergeIndex } from './merge-index.ts';

/** Who waits for an edge, and for how much of it. */
export interface Waiter {
  readonly level: Level;
  wake(): void;
  /** The edge was merged into another, which the waiter waits for from now on. */
  moved(to: SharedEdge): void;
}

/** An edge as others see it. */
export interface SharedEdge {
  readonly vertex: EdgeHost;
  readonly output: number;
  readonly state: EdgeState;
  readonly isClosed: boolean;
  readonly mergedInto: SharedEdge | undefined;
  /** Itself, or what it was merged into. */
  readonly current: SharedEdge;
  wait(waiter: Waiter): void;
  unwait(waiter: Waiter): void;
  /** The keys by which this edge is the same as another one of this process. */
  identityKeys(): readonly CacheKey[];
  /** Keys in the cache by which another edge was found that was merged into this one: they lead to this one's result. */
  adopt(keys: readonly CacheKey[]): void;
}

/** The vertex of an edge: its work, shared by all its edges. */
export interface EdgeHost {
  readonly vertex: Vertex;
  readonly digest: string;
  readonly depth: number;
  readonly ignoreCache: boolean;
  readonly inputs: readonly { readonly vertex: EdgeHost; readonly index: number }[];
  readonly cache: CacheManager;
  readonly queue: RunQueue;
  readonly index: MergeIndex<SharedEdge>;
  readonly progress: StepProgress & { start(cached: boolean): (end: { cached: boolean }) => void };
  edge(index: number): SharedEdge;
  /** One of its edges was merged into one of `other`, which has to serve its jobs too. */
  follow(other: EdgeHost): void;
  /** false: `other` waits for this vertex, in a way that depths do not tell. */
  mayFollow(other: EdgeHost): boolean;
  cacheMap(index: number, signal: AbortSignal): Promise<{ map: CacheMap; done: boolean }>;
  content(
    index: number,
    dep: CacheMapDep,
    input: Result,
    from: EdgeHost,
    signal: AbortSignal,
  ): Promise<string | undefined>;
  /** The results stay the vertex'. `misses`: why nothing was loaded instead. */
  run(inputs: readonly Result[], misses: readonly CacheMiss[], signal: AbortSignal): Promise<readonly Result[]>;
}
