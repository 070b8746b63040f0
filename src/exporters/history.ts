import { formatTime, logger, wrapError } from '../base/index.ts';
import type { ImmutableRef } from '../storage/types.ts';
import type { JsonValue } from './go-json.ts';
import { parseGoTime } from './go-values.ts';
import type { GoTime } from './go-values.ts';

/** An entry of an image config's history. */
export interface HistoryEntry {
  readonly created?: GoTime;
  readonly createdBy: string;
  readonly author: string;
  readonly comment: string;
  readonly emptyLayer: boolean;
}

/** undefined: the config has none, which is not the same as an empty one. */
export type History = readonly HistoryEntry[] | undefined;

export function parseHistory(config: { readonly history?: unknown }): History {
  if (config.history === undefined || config.history === null) return undefined;
  try {
    return (config.history as Record<string, unknown>[]).map((entry) => {
      const text = (key: string): string => {
        const value = entry[key] ?? '';
        if (typeof value !== 'string') throw new TypeError(`history ${key} is not a string`);
        return value;
      };
      const created = text('created');
      return {
        ...(entry['created'] === undefined || entry['created'] === null ? {} : { created: parseGoTime(created) }),
        createdBy: text('created_by'),
        author: text('author'),
        comment: text('comment'),
        emptyLayer: entry['empty_layer'] === true,
      };
    });
  } catch (error) {
    throw wrapError(error, 'failed to unmarshal history from config');
  }
}

export function historyJson(history: History): JsonValue {
  const some = (text: string): string | undefined => (text === '' ? undefined : text);
  if (history === undefined) return null;
  return history.map((entry) => ({
    created: entry.created?.text,
    created_by: some(entry.createdBy),
    author: some(entry.author),
    comment: some(entry.comment),
    empty_layer: entry.emptyLayer || undefined,
  }));
}

interface LayerNote {
  readonly description: string;
  readonly created?: GoTime;
}

/** What the records of the topmost `count` layers say. */
async function layerNotes(ref: ImmutableRef | undefined, count: number): Promise<readonly LayerNote[]> {
  if (ref === undefined) return Array.from({ length: count }, () => ({ description: '' }));
  const chain = ref.layerChain();
  try {
    return chain.slice(-Math.max(count, 1)).map(({ metadata }) => ({
      description: metadata.description === '' ? 'created by buildkit' : metadata.description,
      created: { ns: metadata.createdAt, text: formatTime(metadata.createdAt) },
    }));
  } finally {
    for (const layer of chain) await layer.release();
  }
}

/**
 * The history with one entry per layer and a time in each: missing entries come from the layers' records, superfluous ones
 * are marked as empty, missing times are those of their neighbours (writer.go normalizeLayersAndHistory upstream).
 */
export async function completeHistory(given: History, layers: number, ref: ImmutableRef | undefined): Promise<History> {
  let history = given;
  const inHistory = (given ?? []).filter((entry) => !entry.emptyLayer).length;
  if (inHistory > layers) {
    logger.warn('invalid image config with unaccounted layers');
    let seen = 0;
    history = (given ?? []).map((entry) => {
      const emptyLayer = entry.emptyLayer || seen >= layers;
      if (!emptyLayer) seen++;
      return { ...entry, emptyLayer };
    });
  }
  const notes = await layerNotes(ref, layers);
  if (layers > inHistory) {
    const missing = notes.slice(inHistory).map((note): HistoryEntry => ({
      ...(note.created === undefined ? {} : { created: note.created }),
      createdBy: note.description,
      author: '',
      comment: 'buildkit.exporter.image.v0',
      emptyLayer: false,
    }));
    history = [...(history ?? []), ...missing];
  }
  return history && fillTimes(history, notes);
}

function fillTimes(history: readonly HistoryEntry[], notes: readonly LayerNote[]): readonly HistoryEntry[] {
  let layer = 0;
  const dated = history.map((entry) => {
    if (entry.emptyLayer) return entry;
    const created = entry.created ?? notes[layer]?.created;
    layer++;
    return created === undefined ? entry : { ...entry, created };
  });
  // The first time after a gap, or the last one that there is.
  const gap = dated.findIndex((entry) => entry.created === undefined);
  if (gap < 0) return dated;
  const after = dated.slice(gap).find((entry) => entry.created !== undefined);
  let created = (after ?? dated.findLast((entry) => entry.created !== undefined))?.created;
  let inGap = false;
  return dated.map((entry) => {
    if (entry.created !== undefined) {
      if (inGap) created = entry.created;
      return entry;
    }
    inGap = true;
    return created === undefined ? entry : { ...entry, created };
  });
}
