/** Which lines of which text each op comes from. */
import type { Definition, Location, Locations, Range, Source, SourceInfo } from '../proto/ops.pb.ts';

export interface SourceMap {
  readonly filename: string;
  readonly language: string;
  readonly data: Uint8Array;
  /** Where the text itself comes from. */
  readonly definition?: Definition;
}

export interface SourceLocation {
  readonly map: SourceMap;
  readonly ranges: readonly Range[];
}

function same(a: SourceMap, b: SourceMap): boolean {
  if (a === b) return true;
  if (a.filename !== b.filename || a.language !== b.language || Buffer.compare(a.data, b.data) !== 0) return false;
  const x = a.definition?.def;
  const y = b.definition?.def;
  if (x === undefined || y === undefined || x.length === 0 || y.length === 0) return true;
  return x.length === y.length && Buffer.compare(x[x.length - 1], y[y.length - 1]) === 0;
}

/** Collects the locations of one definition; equal texts are kept once. */
export class SourceMapCollector {
  readonly #maps: SourceMap[] = [];
  readonly #index = new Map<SourceMap, number>();
  readonly #locations = new Map<string, Location[]>();

  #indexOf(map: SourceMap): number {
    let at = this.#index.get(map);
    if (at === undefined) {
      at = this.#maps.findIndex((m) => same(m, map));
      if (at < 0) at = this.#maps.push(map) - 1;
      this.#index.set(map, at);
    }
    return at;
  }

  add(digest: string, locations: readonly SourceLocation[]): void {
    const all = this.#locations.get(digest) ?? [];
    for (const { map, ranges } of locations) all.push({ sourceIndex: this.#indexOf(map), ranges: [...ranges] });
    this.#locations.set(digest, all);
  }

  finish(): Source {
    const infos = this.#maps.map((m): SourceInfo => ({
      filename: m.filename,
      data: m.data,
      definition: m.definition,
      language: m.language,
    }));
    const locations = new Map(
      [...this.#locations].map(([digest, all]): [string, Locations] => [digest, { locations: all }]),
    );
    return { locations, infos };
  }
}
