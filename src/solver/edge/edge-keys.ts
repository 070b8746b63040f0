/** The keys of an edge: those that stand for its inputs, those it is saved by, those that make it the same as another. */
import { makeKey, rootKey } from '../cache/key.ts';
import type { CacheKey, CacheKeySelector, CacheMap } from '../types.ts';
import type { EdgeInput } from './edge-input.ts';
import type { EdgeState } from './edge-state.ts';
import type { EdgeHost } from './shared-edge.ts';

/** What keys and lookups are made from. */
export interface KeyedEdge {
  readonly vertex: EdgeHost;
  readonly output: number;
  readonly state: EdgeState;
  /** Undefined while nobody has asked for anything of the edge. */
  readonly inputs: readonly EdgeInput[] | undefined;
}

export function inputAt(edge: KeyedEdge, i: number): EdgeInput {
  const input = edge.inputs?.[i];
  if (input === undefined) throw new Error(`input ${i} of ${edge.vertex.vertex.name} was never asked for`);
  return input;
}

/** What a key remembers of the vertex it is a key of. */
export function originOf({ vertex: { vertex } }: KeyedEdge): { vertex: string; exportCache?: boolean } {
  return { vertex: vertex.digest, exportCache: vertex.options.exportCache };
}

/** All keys that stand for the input, with the selector where it counts. */
export function inputKeys(edge: KeyedEdge, i: number): CacheKeySelector[] {
  const { maps, deps } = edge.state;
  const selector = maps[0]?.deps[i]?.selector;
  const { target } = inputAt(edge, i);
  const keys: CacheKeySelector[] = target.identityKeys().map((key) => ({ key, selector }));
  const { content } = deps[i];
  if (content.kind === 'known' && content.key !== undefined) keys.push({ key: content.key });
  return keys;
}

/** See {@link SharedEdge.identityKeys}. */
export function identityKeys(edge: KeyedEdge): readonly CacheKey[] {
  const s = edge.state;
  if (s.phase.kind === 'done') {
    // Another build may find this edge by any key that leads to it, not only by that of the record which was loaded.
    const { cacheKeys } = s.phase.result;
    return [...cacheKeys, ...s.keys.filter((key) => !cacheKeys.some((known) => known.id === key.id))];
  }
  if (s.deps.length > 0 || s.ignoreCache) return s.keys;
  return s.maps.map((map) => rootKeyOf(edge, map));
}

function rootKeyOf(edge: KeyedEdge, map: CacheMap): CacheKey {
  const { vertex: digest, exportCache } = originOf(edge);
  return rootKey(map.digest, edge.output, { digest, exportCache });
}

/** The key that a result made by that map is saved by. */
export function resultKey(edge: KeyedEdge, map: CacheMap): CacheKey {
  const { deps } = edge.state;
  if (deps.length === 0) return rootKeyOf(edge, map);
  return makeKey({
    id: `${edge.vertex.digest}@${edge.output}`,
    digest: map.digest,
    output: edge.output,
    deps: deps.map((_, i) => inputKeys(edge, i)),
    ...originOf(edge),
  });
}

/** For each input the texts under which the edge is the same as others, as {@link MergeIndex} wants them; undefined: not known yet. */
export function identityTexts(edge: KeyedEdge): string[][] | undefined {
  const { deps, maps } = edge.state;
  if (maps.length === 0) return undefined;
  if (deps.length === 0) return [maps.map((m) => `${m.digest}@${edge.output}`)];
  if (edge.inputs === undefined) return undefined;
  const texts = deps.map((_, i) =>
    inputKeys(edge, i).map(
      ({ key, selector = '' }) => `${maps[0].digest}@${edge.output}#${i}/${deps.length} ${selector} ${key.id}`,
    ),
  );
  return texts.some((t) => t.length === 0) ? undefined : texts;
}
