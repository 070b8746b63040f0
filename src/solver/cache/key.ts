/** Cache keys as values: how ids of roots are made, which keys may be stored, which of several records is best. */
import { hash } from 'node:crypto';
import type { CacheKey, CacheKeySelector, CacheManager, CacheRecord } from '../types.ts';

const RANDOM = 'random:';

/** Upstream: solver/cachemanager.go rootKey. Equal in every daemon, so imported caches meet the local one at their roots. */
export function rootKeyId(digest: string, output: number): string {
  const hex = hash('sha256', `${digest}@${output}`);
  return digest.startsWith(RANDOM) ? `${RANDOM}${hex}` : `sha256:${hex}`;
}

/** A key that no later build could reach is never stored: a random root, or one with an input that is only known by such. */
export function isRandom(key: CacheKey): boolean {
  const known = randomness.get(key);
  if (known !== undefined) return known;
  // Keys are made from the bottom up, each asked about once: no deep recursion.
  const random =
    key.deps.length === 0
      ? key.digest.startsWith(RANDOM)
      : key.deps.some((alternatives) => alternatives.every((a) => isRandom(a.key)));
  randomness.set(key, random);
  return random;
}
const randomness = new WeakMap<CacheKey, boolean>();

export interface KeyOptions {
  readonly id: string;
  readonly digest: string;
  readonly output: number;
  readonly deps?: readonly (readonly CacheKeySelector[])[];
  readonly stored?: ReadonlyMap<CacheManager, string>;
  readonly vertex?: string;
  readonly exportCache?: boolean;
}

export function makeKey(options: KeyOptions): CacheKey {
  const { id, digest, output, deps = [], stored = new Map(), vertex, exportCache } = options;
  const key: CacheKey = { id, digest, output, deps, stored, vertex, exportCache };
  isRandom(key);
  return key;
}

export function rootKey(digest: string, output: number, vertex?: { digest: string; exportCache?: boolean }): CacheKey {
  return makeKey({
    id: rootKeyId(digest, output),
    digest,
    output,
    vertex: vertex?.digest,
    exportCache: vertex?.exportCache,
  });
}

/** What keys of contents have in place of an output (upstream: solver/edge.go); it is in their ids, and so in exported caches. */
export const CONTENT_OUTPUT = -1;

/** The newest; between equals the one of lowest priority number. */
export function bestRecord(records: readonly CacheRecord[]): CacheRecord | undefined {
  let best: CacheRecord | undefined;
  for (const r of records) {
    if (
      best === undefined ||
      r.createdAt > best.createdAt ||
      (r.createdAt === best.createdAt && r.priority < best.priority)
    ) {
      best = r;
    }
  }
  return best;
}

/** These keys and all that they were made from, each once, inputs first: the order in which an export writes them. */
export function keysBelow(keys: readonly CacheKey[]): CacheKey[] {
  const seen = new Set<CacheKey>();
  const out: CacheKey[] = [];
  const stack: { key: CacheKey; leaving: boolean }[] = keys.toReversed().map((key) => ({ key, leaving: false }));
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    if (top.leaving) {
      out.push(top.key);
      continue;
    }
    if (seen.has(top.key)) continue;
    seen.add(top.key);
    stack.push({ key: top.key, leaving: true });
    for (const alternatives of top.key.deps.toReversed()) {
      for (const a of alternatives) if (!seen.has(a.key)) stack.push({ key: a.key, leaving: false });
    }
  }
  return out;
}
