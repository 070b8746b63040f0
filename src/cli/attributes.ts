import { invalidArgument } from '../base/index.ts';

/**
 * The fields of one line of CSV. Quotes belong at a field's start, two of them stand for one; a line break inside is
 * kept (tonistiigi/go-csvvalue).
 */
export function parseCsv(text: string, comma = ','): string[] {
  const fields: string[] = [];
  if (text === '') return fields;
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      let field = '';
      for (at++; ; at++) {
        if (at >= text.length) throw invalidArgument('extraneous or missing " in quoted-field');
        if (text[at] !== '"') field += text[at];
        else if (text[at + 1] === '"') {
          field += '"';
          at++;
        } else break;
      }
      at++;
      fields.push(field);
      if (at >= text.length) return fields;
      if (text[at] !== comma) throw invalidArgument('extraneous or missing " in quoted-field');
      at++;
    } else {
      const end = text.indexOf(comma, at);
      const field = end < 0 ? text.slice(at) : text.slice(at, end);
      if (field.includes('"')) throw invalidArgument('bare " in non-quoted-field');
      fields.push(field);
      if (end < 0) return fields;
      at = end + 1;
    }
    if (at >= text.length) {
      fields.push('');
      return fields;
    }
  }
}

/** `key=value` fields of one line of CSV, keys in lower case, in their order. */
export function parseAttributes(
  text: string,
  invalid = (field: string) => `invalid value ${field}`,
): [string, string][] {
  return parseCsv(text).map((field) => {
    const equals = field.indexOf('=');
    if (equals < 0) throw invalidArgument(invalid(field));
    return [field.slice(0, equals).toLowerCase(), field.slice(equals + 1)];
  });
}

/** Go's strconv.ParseBool; undefined for anything else. */
export function parseBool(text: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  return undefined;
}

/** Repeated `key=value`: the last of one key wins. Values are never split. */
export function parsePairs(values: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const value of values) {
    const equals = value.indexOf('=');
    if (equals < 0) throw invalidArgument(`invalid value ${value}`);
    pairs.set(value.slice(0, equals), value.slice(equals + 1));
  }
  return pairs;
}
