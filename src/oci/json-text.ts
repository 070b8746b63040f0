/** JSON texts that are handed on as they were written, as Go does with json.RawMessage: only white space and escapes change. */

const ESCAPED: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};
const escapeHtml = (text: string): string => text.replace(/[<>&\u2028\u2029]/g, (c) => ESCAPED[c] as string);

/** The text without white space outside strings, escaped as Go does. It must be JSON. */
export function compactJson(text: string): string {
  return text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|\s+/g, (token) => (token.startsWith('"') ? escapeHtml(token) : ''));
}

/** json.Indent with two spaces, of a text that {@link compactJson} gave. */
export function indentJson(text: string): string {
  const parts: string[] = [];
  let depth = 0;
  let opened = false;
  const line = (): void => void parts.push('\n', '  '.repeat(depth));
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^{}[\],:"]+/g)) {
    if (token === '}' || token === ']') {
      depth--;
      if (!opened) line();
      opened = false;
      parts.push(token);
      continue;
    }
    if (opened) line();
    opened = token === '{' || token === '[';
    if (opened) depth++;
    parts.push(token === ':' ? ': ' : token);
    if (token === ',') line();
  }
  return parts.join('');
}
