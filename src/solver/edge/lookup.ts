/** What an edge asks of the cache. Answers go into its state; a cache that fails has nothing. */
import { wrapError } from '../../base/index.ts';
import { orMiss } from '../cache/cache-manager.ts';
import { CONTENT_OUTPUT, makeKey, rootKey } from '../cache/key.ts';
import type { CacheKey, CacheKeySelector } from '../types.ts';
import { inputAt, inputKeys, originOf } from './edge-keys.ts';
import type { KeyedEdge } from './edge-keys.ts';
import type { EdgeState } from './edge-state.ts';

export function addKey(state: EdgeState, key: CacheKey): void {
  if (!state.keys.some((k) => k.id === key.id)) state.keys.push(key);
}

/** Asks a vertex without inputs for its own keys. */
export async function probeRoot(edge: KeyedEdge): Promise<void> {
  const s = edge.state;
  const count = s.maps.length;
  for (const map of s.maps.slice(s.rootsProbed)) {
    const found = await orMiss('query', () => edge.vertex.cache.query([], 0, map.digest, edge.output));
    for (const key of found) addKey(s, makeKey({ ...key, ...originOf(edge) }));
  }
  s.rootsProbed = count;
}

/** Asks where the new keys of an input lead. */
export async function probeInput(edge: KeyedEdge, i: number): Promise<void> {
  const s = edge.state;
  const dep = s.deps[i];
  const input = inputAt(edge, i);
  const { target } = input;
  const until = dep.keys;
  const { digest, deps } = s.maps[0];
  const selector = deps[i]?.selector;
  const asked: CacheKeySelector[] = target.state.keys.slice(dep.probed, until).map((key) => ({ key, selector }));
  const content = dep.content.kind === 'known' ? dep.content.key : undefined;
  if (content !== undefined) asked.push({ key: content });
  const { cache } = edge.vertex;
  const found = asked.length === 0 ? [] : await orMiss('query', () => cache.query(asked, i, digest, edge.output));
  // The input was merged into another meanwhile: its keys are counted anew.
  if (input.target === target) dep.probed = until;
  for (const key of found) {
    if (dep.matches.has(key.id)) continue;
    dep.matches.set(key.id, key);
    if (!s.deps.every((d) => d.matches.has(key.id))) continue;
    addKey(s, makeKey({ ...key, deps: s.deps.map((_, j) => inputKeys(edge, j)), ...originOf(edge) }));
  }
  if (content === undefined) return;
  if (dep.matches.size === 0) {
    dep.content = { kind: 'known', key: content, inCache: await isInCache(edge, content.digest) };
  }
  dep.contentProbed = true;
}

/** Asks for the records of new keys. */
export async function searchRecords(edge: KeyedEdge): Promise<void> {
  const s = edge.state;
  for (const key of s.keys.slice(s.keysSearched)) {
    const found = await orMiss('records', () => edge.vertex.cache.records(key));
    s.keysSearched++;
    s.records.push(...found.filter((r) => !s.records.some((known) => known.id === r.id)));
  }
}

/** Prepares an input that is there and computes its content key. */
export async function readContent(edge: KeyedEdge, i: number, signal: AbortSignal): Promise<void> {
  const s = edge.state;
  const input = inputAt(edge, i);
  const { result } = input;
  if (result === undefined) return;
  let digest: string | undefined;
  try {
    digest = await edge.vertex.content(i, s.maps[0].deps[i], result, input.target.vertex, signal);
  } catch (error) {
    throw wrapError(error, 'failed to compute cache key');
  }
  // Where it runs whatever the content is, nobody asks later where the content leads.
  const inCache =
    digest !== undefined && s.hopeless && s.deps[i].matches.size === 0 ? await isInCache(edge, digest) : undefined;
  if (signal.aborted) return;
  s.deps[i].content =
    digest === undefined
      ? { kind: 'known' }
      : { kind: 'known', key: rootKey(digest, CONTENT_OUTPUT), ...(inCache && { inCache }) };
}

/** Of a content that leads nowhere from this edge: whether anything else in the cache follows from it. */
async function isInCache(edge: KeyedEdge, digest: string): Promise<boolean> {
  const known = await orMiss('query', () => edge.vertex.cache.query([], 0, digest, CONTENT_OUTPUT));
  return known.length > 0;
}
