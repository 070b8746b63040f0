/**
 * The graph engine. In: edges of a graph of vertices, for jobs that may share them; ops that tell a vertex' cache key
 * and run it. Out: results with one owner each, cache keys, a stream of progress per job. Deliberately absent: what a
 * vertex or a result is (LLB, snapshots), where keys are kept ({@link KeyStore}), what is done with an exported cache.
 */
export { createSolver } from './solver.ts';
export { verticesOf } from './graph.ts';
export { Remains } from './remains.ts';
export { createCacheManager } from './cache/cache-manager.ts';
export { createMemoryKeyStore } from './cache/memory-key-store.ts';
export { bestRecord, isRandom, keysBelow, rootKeyId } from './cache/key.ts';
export type {
  CachedResult,
  CacheKey,
  CacheKeySelector,
  CacheManager,
  CacheMap,
  CacheMapDep,
  CacheMiss,
  CacheRecord,
  ContentChange,
  Edge,
  Job,
  JobContext,
  KeyLink,
  KeyStore,
  KeyWay,
  Op,
  ProgressGroup,
  ResolveOp,
  Result,
  ResultStore,
  Solver,
  SolverOptions,
  StatusBatch,
  StepCounts,
  StoredResult,
  Vertex,
  VertexLog,
  VertexOptions,
  VertexState,
  VertexStatus,
  VertexWarning,
} from './types.ts';
