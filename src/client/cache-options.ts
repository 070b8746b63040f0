import { mkdirSync } from 'node:fs';
import { invalidArgument } from '../base/index.ts';
import { openLayoutStore, readLayoutIndex } from '../content/index.ts';
import type { ContentStore } from '../content/types.ts';
import type { Digest, Index } from '../oci/types.ts';
import { watchStore } from './cache-layouts.ts';
import type { WatchedStore } from './cache-layouts.ts';
import { findInIndex } from './layout-index.ts';
import type { CacheEntry } from './types.ts';

export interface CacheLayout {
  readonly directory: string;
  readonly tag: string;
  readonly watched: WatchedStore;
}

/** What becomes of `--export-cache` and `--import-cache`: the wire's entries, and the stores that they need here. */
export interface CachePlan {
  readonly exports: readonly CacheEntry[];
  readonly imports: readonly CacheEntry[];
  /** By the id under which the daemon asks for them. */
  readonly stores: ReadonlyMap<string, ContentStore>;
  /** Layouts whose index gets the exported manifest. */
  readonly layouts: readonly CacheLayout[];
  /** Layouts that keep only what their index names, after the export. */
  readonly resets: readonly string[];
}

function parseBool(text: string, name: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw invalidArgument(`failed to parse ${name} attribute: invalid syntax ${JSON.stringify(text)}`);
}

/** Undefined when there is nothing to import: that is a warning, not an error. */
async function resolveLocalImport(
  entry: CacheEntry,
  warn: (message: string) => void,
): Promise<{ entry: CacheEntry; store: ContentStore } | undefined> {
  const directory = entry.attrs.get('src') ?? '';
  if (directory === '') throw invalidArgument('local cache importer requires src');
  const store = openLayoutStore(directory);
  let digest = entry.attrs.get('digest') ?? '';
  if (digest === '') {
    const tag = entry.attrs.get('tag') ?? 'latest';
    if (tag === '') {
      throw invalidArgument(
        'local cache importer requires either explicit digest, "latest" tag or custom tag on index.json',
      );
    }
    let index: Index;
    try {
      index = readLayoutIndex(directory);
    } catch (error) {
      warn(`local cache import at ${directory} skipped due to err: ${(error as Error).message}`);
      return undefined;
    }
    digest = findInIndex(index, tag)?.digest ?? '';
    if (digest === '') {
      warn(`local cache import at ${directory} skipped: no digest found for tag ${tag}`);
      return undefined;
    }
  }
  if ((await store.info(digest as Digest).catch(() => undefined)) === undefined) {
    warn(`local cache import at ${directory} skipped: digest ${digest} unavailable`);
    return undefined;
  }
  return { entry: { type: entry.type, attrs: new Map([...entry.attrs, ['digest', digest]]) }, store };
}

export async function planCache(
  exports: readonly CacheEntry[],
  imports: readonly CacheEntry[],
  warn: (message: string) => void,
): Promise<CachePlan> {
  const stores = new Map<string, ContentStore>();
  const layouts = new Map<string, CacheLayout>();
  const resets: string[] = [];
  for (const { type, attrs } of exports) {
    if (type === 'registry' && !attrs.get('ref')) throw invalidArgument('registry cache exporter requires ref');
    if (type !== 'local') continue;
    const directory = attrs.get('dest') ?? '';
    if (directory === '') throw invalidArgument('local cache exporter requires dest');
    mkdirSync(directory, { recursive: true });
    const watched = watchStore(openLayoutStore(directory));
    stores.set(`local:${directory}`, watched.store);
    layouts.set(directory, { directory, tag: attrs.get('tag') ?? 'latest', watched });
    const reset = attrs.get('reset');
    if (reset !== undefined && parseBool(reset, 'reset')) resets.push(directory);
  }
  const wanted: CacheEntry[] = [];
  for (const entry of imports) {
    if (entry.type === 'registry' && !entry.attrs.get('ref')) {
      throw invalidArgument('registry cache importer requires ref');
    }
    if (entry.type !== 'local') {
      wanted.push(entry);
      continue;
    }
    const found = await resolveLocalImport(entry, warn);
    if (found === undefined) continue;
    wanted.push(found.entry);
    const id = `local:${entry.attrs.get('src')}`;
    if (!stores.has(id)) stores.set(id, found.store);
  }
  return { exports, imports: wanted, stores, layouts: [...layouts.values()], resets };
}
