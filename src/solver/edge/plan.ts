/**
 * What an edge does next: a pure function of what it knows. The plan is declarative: whatever runs and is not in it is
 * stopped, whatever is in it and does not run is started, inputs are asked for exactly the levels that it names.
 */
import { bestRecord } from '../cache/key.ts';
import type { CacheMiss, CacheRecord } from '../types.ts';
import { Level } from './edge-state.ts';
import type { DepState, EdgeState } from './edge-state.ts';
import { missesOf } from './miss.ts';

export type Work =
  | { readonly kind: 'map'; readonly index: number }
  /** Asks the cache where the new keys of that input lead; a vertex without inputs asks for its own key. */
  | { readonly kind: 'probe'; readonly dep: number | undefined }
  /** Asks the cache for the records of new keys. */
  | { readonly kind: 'search' }
  /** Prepares an input that is there and computes its content key. */
  | { readonly kind: 'content'; readonly dep: number }
  | { readonly kind: 'load'; readonly record: CacheRecord }
  | { readonly kind: 'run'; readonly misses: readonly CacheMiss[] };

export interface Plan {
  readonly level: Level;
  readonly hopeless: boolean;
  /** For each input. */
  readonly deps: readonly Level[];
  readonly work: readonly Work[];
  /** An input that is needed has failed. */
  readonly failure?: { readonly error: unknown };
}

/** All keys of the input that are known so far were asked about. */
function isSettled(dep: DepState): boolean {
  return dep.probed === dep.keys && (dep.contentProbed || !hasContentKey(dep));
}

function hasContentKey(dep: DepState): boolean {
  return dep.content.kind === 'known' && dep.content.key !== undefined;
}

/** The input may yet tell more keys. */
function mayGrow(dep: DepState): boolean {
  return dep.level < Level.SLOW || (dep.content.kind === 'needed' && dep.content.digests);
}

function max(a: Level, b: Level): Level {
  return a > b ? a : b;
}

export function plan(s: EdgeState): Plan {
  const draft: Draft = { level: s.level, hopeless: s.hopeless, deps: s.deps.map(() => Level.NONE), work: [] };
  if (s.phase.kind === 'done' || s.phase.kind === 'failed') return draft;
  if (s.want === Level.NONE) return draft;
  if (s.phase.kind === 'loading') {
    if (s.want === Level.COMPLETE) draft.work.push({ kind: 'load', record: s.phase.record });
    return draft;
  }
  if (s.ignoreCache) draft.level = max(draft.level, Level.SLOW);
  if (s.deps.length === 0) planRoot(s, draft);
  else planInputs(s, draft);
  return withFailure(s, draft);
}

type Draft = { level: Level; hopeless: boolean; deps: Level[]; work: Work[] };

function withFailure(s: EdgeState, draft: Draft): Plan {
  const failed = s.deps.find((dep, i) => dep.error !== undefined && draft.deps[i] > dep.level);
  if (failed === undefined) return draft;
  return { ...draft, deps: s.deps.map(() => Level.NONE), work: [], failure: { error: failed.error } };
}

/** Looks up the records of new keys first, then loads the best of all. True when that is all there is to do now. */
function planRecords(s: EdgeState, draft: Draft): boolean {
  if (s.keysSearched < s.keys.length) {
    draft.work.push({ kind: 'search' });
    return true;
  }
  const record = bestRecord(s.records);
  if (record === undefined) return false;
  draft.level = max(draft.level, Level.SLOW);
  if (s.want === Level.COMPLETE) draft.work.push({ kind: 'load', record });
  return true;
}

function planRoot(s: EdgeState, draft: Draft): void {
  if (s.want <= draft.level) return;
  if (s.maps.length === 0) {
    draft.work.push({ kind: 'map', index: 0 });
    return;
  }
  if (!s.ignoreCache) {
    if (s.rootsProbed < s.maps.length) {
      draft.work.push({ kind: 'probe', dep: undefined });
      return;
    }
    if (planRecords(s, draft)) return;
    // A key that is known lets consumers find their own records: enough for them, not for a result.
    if (s.keys.length > 0) draft.level = max(draft.level, Level.SLOW);
    if (s.want <= draft.level) return;
  }
  if (!s.mapsDone) {
    draft.work.push({ kind: 'map', index: s.maps.length });
    return;
  }
  draft.level = max(draft.level, Level.SLOW);
  if (s.want === Level.COMPLETE) draft.work.push({ kind: 'run', misses: missesOf(s) });
}

function planInputs(s: EdgeState, draft: Draft): void {
  if (s.want <= draft.level) return;
  if (s.maps.length === 0) {
    draft.work.push({ kind: 'map', index: 0 });
    draft.deps.fill(s.ignoreCache ? Level.COMPLETE : Level.FAST);
    return;
  }
  if (s.ignoreCache) {
    planRun(s, draft);
    return;
  }
  if (!draft.hopeless) {
    draft.hopeless = s.deps.some((d) => d.level >= Level.FAST && isSettled(d) && !mayGrow(d) && d.matches.size === 0);
  }
  if (draft.hopeless) {
    draft.level = max(draft.level, Level.SLOW);
    if (s.want === Level.COMPLETE) planRun(s, draft);
    return;
  }
  if (planRecords(s, draft)) return;
  for (const [i, dep] of s.deps.entries()) if (!isSettled(dep)) draft.work.push({ kind: 'probe', dep: i });

  const isFast = (d: DepState): boolean => d.level >= Level.FAST && isSettled(d);
  const allFast = s.deps.every(isFast);
  if (allFast || s.deps.some((d) => isFast(d) && d.matches.size === 0)) draft.level = max(draft.level, Level.FAST);
  if (allFast && !s.deps.some(mayGrow)) draft.level = Level.SLOW;
  if (s.want <= draft.level) return;
  if (draft.level >= Level.SLOW && allFast && !s.deps.some(mayGrow)) planRun(s, draft);
  else planSearch(s, draft, allFast);
}

/**
 * Asks inputs for more keys. Those that lead nowhere so far come first, as each alone decides that the cache has
 * nothing; the others wait until all inputs lead somewhere and still no record was found.
 */
function planSearch(s: EdgeState, draft: Draft, allFast: boolean): void {
  const blind = s.deps.some((d) => d.matches.size === 0 && mayGrow(d));
  for (const [i, dep] of s.deps.entries()) {
    if (dep.level < Level.FAST) {
      draft.deps[i] = Level.FAST;
      continue;
    }
    if (s.want === Level.FAST || !isSettled(dep) || !mayGrow(dep)) continue;
    if (dep.matches.size > 0 && (blind || !allFast)) continue;
    if (dep.level < Level.SLOW) draft.deps[i] = Level.SLOW;
    else if (dep.level < Level.COMPLETE) draft.deps[i] = Level.COMPLETE;
    else draft.work.push({ kind: 'content', dep: i });
  }
}

function planRun(s: EdgeState, draft: Draft): void {
  let ready = true;
  for (const [i, dep] of s.deps.entries()) {
    draft.deps[i] = Level.COMPLETE;
    if (dep.level < Level.COMPLETE) ready = false;
    else if (dep.content.kind === 'needed') {
      // Also when the cache has nothing: the run is saved under this key too.
      draft.work.push({ kind: 'content', dep: i });
      ready = false;
    }
  }
  if (ready) draft.work.push({ kind: 'run', misses: missesOf(s) });
}
