/** A {@link KeyStore} that lives as long as its process: imported caches, tests. */
import type { KeyLink, KeyStore, StoredResult } from '../types.ts';

interface Entry {
  readonly results: Map<string, StoredResult>;
  /** Link text to targets. */
  readonly links: Map<string, Set<string>>;
  /** Parent key to the texts of its links that lead here. */
  readonly backlinks: Map<string, Set<string>>;
}

function textOf(link: KeyLink): string {
  return JSON.stringify([link.input, link.output, link.digest, link.selector]);
}

function linkOf(text: string): KeyLink {
  const [input, output, digest, selector] = JSON.parse(text) as [number, number, string, string];
  return { input, output, digest, selector };
}

function addTo<V>(map: Map<string, Set<V>>, key: string, value: V): void {
  let set = map.get(key);
  if (set === undefined) map.set(key, (set = new Set()));
  set.add(value);
}

export function createMemoryKeyStore(): KeyStore {
  const entries = new Map<string, Entry>();
  const byResult = new Map<string, Set<string>>();
  const entry = (key: string): Entry => {
    let e = entries.get(key);
    if (e === undefined) entries.set(key, (e = { results: new Map(), links: new Map(), backlinks: new Map() }));
    return e;
  };
  const used = (e: Entry | undefined): boolean => e !== undefined && (e.results.size > 0 || e.links.size > 0);

  const dropUnused = (start: Iterable<string>): void => {
    const stack = [...start];
    for (let key = stack.pop(); key !== undefined; key = stack.pop()) {
      const e = entries.get(key);
      if (e === undefined || used(e)) continue;
      entries.delete(key);
      for (const [parent, texts] of e.backlinks) {
        const p = entries.get(parent);
        if (p === undefined) continue;
        for (const text of texts) {
          p.links.get(text)?.delete(key);
          if (p.links.get(text)?.size === 0) p.links.delete(text);
        }
        stack.push(parent);
      }
    }
  };

  return {
    exists: (key) => used(entries.get(key)),
    links: (key, link) => [...(entries.get(key)?.links.get(textOf(link)) ?? [])],
    addLink(key, link, target) {
      const text = textOf(link);
      addTo(entry(key).links, text, target);
      addTo(entry(target).backlinks, key, text);
    },
    backlinks(key) {
      const found: { key: string; link: KeyLink }[] = [];
      for (const [parent, texts] of entries.get(key)?.backlinks ?? []) {
        for (const text of texts) found.push({ key: parent, link: linkOf(text) });
      }
      return found;
    },
    results: (key) => [...(entries.get(key)?.results.values() ?? [])],
    addResult(key, result) {
      entry(key).results.set(result.id, result);
      addTo(byResult, result.id, key);
    },
    resultIds: (after, limit) =>
      [...byResult.keys()]
        .filter((id) => id > after)
        .toSorted((a, b) => (a < b ? -1 : 1))
        .slice(0, limit),
    release(resultId) {
      const keys = byResult.get(resultId) ?? new Set();
      byResult.delete(resultId);
      for (const key of keys) entries.get(key)?.results.delete(resultId);
      dropUnused(keys);
    },
    transaction: (work) => work(),
  };
}
