import { compactJson, goJson } from '../oci/index.ts';

/**
 * Beside `goJson`: indented documents, and documents in which what is only handed on stays the text it was (numbers,
 * the order of keys, fields that nobody knows here): digests depend on it. Maps are sorted, as Go does.
 */

/** JSON text that is written as it is, without white space between its tokens. */
export class RawJson {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | RawJson
  | ReadonlyMap<string, JsonValue>
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue | undefined };

/** json.Marshal; with `indent` json.MarshalIndent(v, "", "  "). */
export function encodeGoJson(value: JsonValue, indent = false): string {
  const write = (v: JsonValue, depth: string): string => {
    if (v === null || typeof v === 'boolean' || typeof v === 'number') return String(v);
    if (typeof v === 'string') return goJson(v);
    if (v instanceof RawJson) return compactJson(v.text);
    const inner = `${depth}  `;
    const join = (parts: readonly string[], open: string, close: string): string => {
      if (parts.length === 0) return open + close;
      return indent
        ? `${open}\n${parts.map((part) => inner + part).join(',\n')}\n${depth}${close}`
        : open + parts.join(',') + close;
    };
    if (Array.isArray(v))
      return join(
        (v as readonly JsonValue[]).map((item) => write(item, inner)),
        '[',
        ']',
      );
    const fields: ReadonlyArray<readonly [string, JsonValue | undefined]> =
      v instanceof Map
        ? [...(v as ReadonlyMap<string, JsonValue>)].toSorted(([a], [b]) =>
            Buffer.compare(Buffer.from(a), Buffer.from(b)),
          )
        : Object.entries(v as Readonly<Record<string, JsonValue | undefined>>);
    const parts = fields.flatMap(([key, field]) =>
      field === undefined ? [] : [`${goJson(key)}:${indent ? ' ' : ''}${write(field, inner)}`],
    );
    return join(parts, '{', '}');
  };
  return write(value, '');
}

/** The fields of a JSON object as they are written; of two with one name the last counts. The text must be valid JSON. */
export function rawFields(text: string): Map<string, RawJson> {
  const fields = new Map<string, RawJson>();
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
  let depth = 0;
  let key: string | undefined;
  let start = -1;
  for (let m = tokens.exec(text); m !== null; m = tokens.exec(text)) {
    const token = m[0];
    if (token === '{' || token === '[') {
      depth++;
      if (depth === 1) continue;
    }
    if (depth === 1 && (token === ',' || token === '}')) {
      if (key !== undefined) fields.set(key, new RawJson(text.slice(start, m.index).trim()));
      key = undefined;
      start = -1;
    } else if (depth === 1 && key === undefined) {
      key = JSON.parse(token) as string;
    } else if (depth === 1 && token === ':' && start < 0) {
      start = m.index + 1;
    }
    if (token === '}' || token === ']') depth--;
  }
  return fields;
}
