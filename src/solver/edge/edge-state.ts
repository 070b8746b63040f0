/** What an edge knows, as plain data. `plan.ts` reads it, `edge-node.ts` changes it. */
import type { CacheKey, CacheMap, CachedResult, CacheRecord } from '../types.ts';

/**
 * How much is wanted or known of an edge. FAST: the keys that follow from definitions. SLOW: also those that follow from
 * the content of inputs, so no more will be found. COMPLETE: the result.
 */
export const Level = { NONE: 0, FAST: 1, SLOW: 2, COMPLETE: 3 } as const;
export type Level = (typeof Level)[keyof typeof Level];

export type Phase =
  | { readonly kind: 'open' }
  /** Sticky, so that a better record that turns up meanwhile does not stop the load. */
  | { readonly kind: 'loading'; readonly record: CacheRecord }
  | { readonly kind: 'done'; readonly result: CachedResult }
  | { readonly kind: 'failed'; readonly error: unknown };

/** `useless`: nothing is to be done with the content. `needed` becomes `known` when the input's result was looked at. */
export type Content =
  | { readonly kind: 'useless' }
  /** `digests` false: only prepared for the run, no key comes of it. */
  | { readonly kind: 'needed'; readonly digests: boolean }
  /** `inCache`: something in the cache follows from that content. Asked only where nothing follows for this edge. */
  | { readonly kind: 'known'; readonly key?: CacheKey; readonly inCache?: boolean };

export interface DepState {
  level: Level;
  /** Its result was made, not loaded. */
  isFresh: boolean;
  error?: unknown;
  /** How many keys the input has told, and how many of them the cache was asked about. */
  keys: number;
  probed: number;
  content: Content;
  contentProbed: boolean;
  /** Result keys of the edge that this input leads to. */
  readonly matches: Map<string, CacheKey>;
}

export interface EdgeState {
  phase: Phase;
  /** The most that anyone waits for. */
  want: Level;
  /** What consumers are told; never falls. */
  level: Level;
  readonly ignoreCache: boolean;
  /** In order; only vertices without inputs have more than one. */
  readonly maps: CacheMap[];
  mapsDone: boolean;
  /** Of a vertex without inputs: how many of the maps the cache was asked about. */
  rootsProbed: number;
  readonly deps: DepState[];
  /** Keys that the cache knows and all inputs agree on; grows at the end. */
  readonly keys: CacheKey[];
  /** How many of them were asked for records. */
  keysSearched: number;
  /** Candidates, not loaded yet. */
  records: CacheRecord[];
  /** Some record could not be loaded. */
  hasLost: boolean;
  /** Some input leads nowhere: the cache cannot have it, and nothing more is looked up. */
  hopeless: boolean;
}

export function newEdgeState(ignoreCache: boolean, inputs: number): EdgeState {
  return {
    phase: { kind: 'open' },
    want: Level.NONE,
    level: Level.NONE,
    ignoreCache,
    maps: [],
    mapsDone: false,
    rootsProbed: 0,
    deps: Array.from({ length: inputs }, newDepState),
    keys: [],
    keysSearched: 0,
    records: [],
    hasLost: false,
    hopeless: false,
  };
}

export function newDepState(): DepState {
  return {
    level: Level.NONE,
    isFresh: false,
    keys: 0,
    probed: 0,
    content: { kind: 'useless' },
    contentProbed: false,
    matches: new Map(),
  };
}
