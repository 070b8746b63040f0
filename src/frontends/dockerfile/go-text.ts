/** Text in the exact forms of Go's fmt and strings, which histories, vertex names and error texts carry. */

const SPACE = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const LEADING = /^[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;
const TRAILING = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$/;

export function isSpace(char: string): boolean {
  return SPACE.test(char);
}

export function trimStart(text: string): string {
  return text.replace(LEADING, '');
}

export function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && TRAILING.test(text[end - 1])) end--;
  return text.slice(0, end);
}

export function trimSpace(text: string): string {
  return trimEnd(trimStart(text));
}

const SHORT: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};

function quoteChar(char: string): string {
  const short = SHORT[char];
  if (short !== undefined) return short;
  const code = char.codePointAt(0) as number;
  if (code === 0x20 || /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(char)) return char;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}

/** `%q` of a string. */
export function quote(text: string): string {
  let out = '"';
  for (const char of text) out += quoteChar(char);
  return `${out}"`;
}

/** `%q` of a list of strings. */
export function quoteList(list: readonly string[]): string {
  return `[${list.map(quote).join(' ')}]`;
}

/** `%v` of a list of strings. */
export function formatList(list: readonly string[]): string {
  return `[${list.join(' ')}]`;
}

/** strings.SplitN(text, separator, 2) in the form of strings.Cut. */
export function cut(text: string, separator: string): [before: string, after: string, found: boolean] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, '', false] : [text.slice(0, at), text.slice(at + separator.length), true];
}

/** strconv.ParseBool; undefined when it is none. */
export function parseBool(text: string): boolean | undefined {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  return undefined;
}

/** One CSV record without line breaks, as Go's encoding/csv reads it. Undefined when the quoting is broken. */
export function parseCsv(line: string): string[] | undefined {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (line[at] === '"') {
      let field = '';
      at++;
      for (;;) {
        const end = line.indexOf('"', at);
        if (end < 0) return undefined;
        field += line.slice(at, end);
        at = end + 1;
        if (line[at] !== '"') break;
        field += '"';
        at++;
      }
      fields.push(field);
      if (at >= line.length) return fields;
      if (line[at] !== ',') return undefined;
      at++;
    } else {
      const end = line.indexOf(',', at);
      const field = end < 0 ? line.slice(at) : line.slice(at, end);
      if (field.includes('"')) return undefined;
      fields.push(field);
      if (end < 0) return fields;
      at = end + 1;
    }
  }
}

/** Go's path.Clean for slash paths: `.` for the empty one. */
export function cleanPath(path: string): string {
  const rooted = path.startsWith('/');
  const out: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (out.length > 0 && out[out.length - 1] !== '..') out.pop();
      else if (!rooted) out.push('..');
      continue;
    }
    out.push(part);
  }
  const joined = out.join('/');
  if (rooted) return `/${joined}`;
  return joined === '' ? '.' : joined;
}

/** Go's path.Join. */
export function joinPath(...parts: readonly string[]): string {
  const some = parts.filter((p) => p !== '');
  return some.length === 0 ? '' : cleanPath(some.join('/'));
}

/** Go's path.Base. */
export function baseName(path: string): string {
  if (path === '') return '.';
  const stripped = path.replace(/\/+$/, '');
  if (stripped === '') return '/';
  return stripped.slice(stripped.lastIndexOf('/') + 1);
}

/** Go's path.Dir. */
export function dirName(path: string): string {
  return cleanPath(path.slice(0, path.lastIndexOf('/') + 1));
}
