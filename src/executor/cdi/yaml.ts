/**
 * The part of YAML that files of devices are written in: block mappings and sequences, quoted and plain scalars, literal
 * blocks, flow collections on one line. Scalars stay text: what they are is for whoever reads them. Deliberately absent,
 * and refused: anchors, aliases, tags, several documents, flow collections over several lines.
 */
export type YamlValue = string | null | YamlValue[] | Map<string, YamlValue>;

interface Line {
  readonly number: number;
  readonly indent: number;
  readonly text: string;
}

const MAX_DEPTH = 100;

function fail(line: Line | undefined, what: string): SyntaxError {
  return new SyntaxError(`yaml: ${line === undefined ? '' : `line ${line.number}: `}${what}`);
}

/** Where a quoted scalar that begins at `at` ends, behind its quote; -1 when it does not. */
function quotedEnd(text: string, at: number): number {
  const quote = text[at];
  for (let i = at + 1; i < text.length; i++) {
    if (quote === '"' && text[i] === '\\') i++;
    else if (text[i] === quote) {
      if (quote === "'" && text[i + 1] === "'") i++;
      else return i + 1;
    }
  }
  return -1;
}

function withoutComment(text: string): string {
  for (let i = 0; i < text.length; i++) {
    const opens = i === 0 || /[\s[{,:-]/.test(text[i - 1]);
    if ((text[i] === '"' || text[i] === "'") && opens) {
      const end = quotedEnd(text, i);
      if (end < 0) return text;
      i = end - 1;
    } else if (text[i] === '#' && (i === 0 || /\s/.test(text[i - 1]))) return text.slice(0, i);
  }
  return text;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '0': '\0', e: '\u001b' };

function unquote(text: string): string {
  if (text.startsWith("'")) return text.slice(1, -1).replaceAll("''", "'");
  return text.slice(1, -1).replace(/\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))/g, (_, x, u, char: string) => {
    const code = (x ?? u) as string | undefined;
    return code === undefined ? (ESCAPES[char] ?? char) : String.fromCharCode(parseInt(code, 16));
  });
}

/** One line's scalars and flow collections. */
class Inline {
  readonly #line: Line;
  readonly #text: string;
  #at = 0;

  constructor(line: Line, text: string) {
    this.#line = line;
    this.#text = text;
  }

  whole(): YamlValue {
    const value = this.#value(false, 0);
    this.#blanks();
    if (this.#at < this.#text.length) throw fail(this.#line, 'unexpected text after a value');
    return value;
  }

  #blanks(): void {
    while (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') this.#at++;
  }

  #value(inFlow: boolean, depth: number): YamlValue {
    if (depth > MAX_DEPTH) throw fail(this.#line, 'nested too deeply');
    this.#blanks();
    const first = this.#text[this.#at];
    if (first === '[') return this.#sequence(depth);
    if (first === '{') return this.#mapping(depth);
    return this.#scalar(inFlow);
  }

  #scalar(inFlow: boolean): string | null {
    const text = this.#text;
    const first = text[this.#at] ?? '';
    if (first === '"' || first === "'") {
      const end = quotedEnd(text, this.#at);
      if (end < 0) throw fail(this.#line, 'a quoted scalar has no end on its line');
      const value = unquote(text.slice(this.#at, end));
      this.#at = end;
      return value;
    }
    if (first !== '' && '&*!|>%@`'.includes(first)) throw fail(this.#line, `"${first}" is not supported here`);
    const rest = text.slice(this.#at);
    const end = inFlow ? /[,\]}]|:(?=[\s,\]}]|$)/.exec(rest)?.index : undefined;
    const plain = rest.slice(0, end).trim();
    this.#at += end ?? rest.length;
    return plain === '' || plain === '~' || plain === 'null' ? null : plain;
  }

  #take(char: string): boolean {
    this.#blanks();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #sequence(depth: number): YamlValue[] {
    this.#at++;
    const values: YamlValue[] = [];
    while (!this.#take(']')) {
      values.push(this.#value(true, depth + 1));
      if (!this.#take(',') && !this.#text.slice(this.#at).startsWith(']'))
        throw fail(this.#line, 'expected "," or "]"');
    }
    return values;
  }

  #mapping(depth: number): Map<string, YamlValue> {
    this.#at++;
    const values = new Map<string, YamlValue>();
    while (!this.#take('}')) {
      this.#blanks();
      const key = this.#scalar(true);
      if (key === null || !this.#take(':')) throw fail(this.#line, 'expected "key: value"');
      values.set(key, this.#value(true, depth + 1));
      if (!this.#take(',') && !this.#text.slice(this.#at).startsWith('}'))
        throw fail(this.#line, 'expected "," or "}"');
    }
    return values;
  }
}

/** `key:` at the start of a line: the key and what follows it. */
function splitKey(line: Line): { key: string; rest: string } | undefined {
  const { text } = line;
  if (text.startsWith('"') || text.startsWith("'")) {
    const end = quotedEnd(text, 0);
    const match = end < 0 ? null : /^\s*:(?:\s+(.*))?$/s.exec(text.slice(end));
    return match === null ? undefined : { key: unquote(text.slice(0, end)), rest: match[1] ?? '' };
  }
  const match = /^([^\s[\]{}&*!|>%@`#-][^#]*?|-\S[^#]*?)\s*:(?:\s+(.*))?$/s.exec(text);
  return match === null ? undefined : { key: match[1], rest: match[2] ?? '' };
}

class Blocks {
  readonly #lines: Line[];
  /** As they were written, by number from 1, for literal blocks. */
  readonly #raw: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#raw = text.split(/\r?\n/);
    this.#lines = this.#raw.flatMap((raw, i) => {
      const text = withoutComment(raw).trimEnd();
      const indent = text.length - text.trimStart().length;
      if (text.trim() === '' || (indent === 0 && (text === '---' || text === '...'))) return [];
      const line = { number: i + 1, indent, text: text.trimStart() };
      if (text.slice(0, indent).includes('\t')) throw fail(line, 'tabs cannot indent');
      return [line];
    });
    if (this.#raw.filter((raw) => raw.trimEnd() === '---').length > 1) throw fail(undefined, 'several documents');
  }

  parse(): YamlValue {
    if (this.#lines.length === 0) return null;
    const value = this.#block(this.#lines[0].indent, 0);
    const left = this.#lines[this.#at];
    if (left !== undefined) throw fail(left, 'unexpected indentation');
    return value;
  }

  #block(indent: number, depth: number): YamlValue {
    const line = this.#lines[this.#at];
    if (depth > MAX_DEPTH) throw fail(line, 'nested too deeply');
    if (/^-(\s|$)/.test(line.text)) return this.#sequence(indent, depth);
    if (splitKey(line) !== undefined) return this.#mapping(indent, depth);
    this.#at++;
    return new Inline(line, line.text).whole();
  }

  #sequence(indent: number, depth: number): YamlValue[] {
    const values: YamlValue[] = [];
    for (let line = this.#lines[this.#at]; line?.indent === indent; line = this.#lines[this.#at]) {
      const match = /^-(\s+(.*))?$/s.exec(line.text);
      if (match === null) break;
      const rest = match[2] ?? '';
      if (rest === '') {
        this.#at++;
        values.push(this.#nested(indent, depth));
        continue;
      }
      // What follows the dash is a block of its own, as far to the right as it stands.
      const inner = indent + line.text.length - rest.length;
      this.#lines[this.#at] = { ...line, indent: inner, text: rest };
      values.push(this.#block(inner, depth + 1));
    }
    return values;
  }

  #mapping(indent: number, depth: number): Map<string, YamlValue> {
    const values = new Map<string, YamlValue>();
    for (let line = this.#lines[this.#at]; line?.indent === indent; line = this.#lines[this.#at]) {
      const entry = splitKey(line);
      if (entry === undefined) throw fail(line, 'expected "key: value"');
      if (values.has(entry.key)) throw fail(line, `key "${entry.key}" already set in map`);
      this.#at++;
      values.set(entry.key, this.#valueOf(entry.rest, line, indent, depth));
    }
    return values;
  }

  #valueOf(rest: string, line: Line, indent: number, depth: number): YamlValue {
    if (rest === '') return this.#nested(indent, depth, true);
    if (/^[|>][-+]?$/.test(rest)) return this.#literal(rest, indent);
    return new Inline(line, rest).whole();
  }

  /** Below a key or a dash; a sequence may stand as far left as its key. */
  #nested(indent: number, depth: number, sequenceBeside = false): YamlValue {
    const next = this.#lines[this.#at];
    if (next === undefined || next.indent < indent) return null;
    if (next.indent > indent) return this.#block(next.indent, depth + 1);
    return sequenceBeside && /^-(\s|$)/.test(next.text) ? this.#sequence(indent, depth + 1) : null;
  }

  #literal(style: string, indent: number): string {
    const first = this.#lines[this.#at];
    if (first === undefined || first.indent <= indent) return '';
    let last = first.number;
    for (; (this.#lines[this.#at]?.indent ?? -1) > indent; this.#at++) last = this.#lines[this.#at].number;
    const lines = this.#raw.slice(first.number - 1, last).map((raw) => raw.slice(first.indent));
    const text = lines.join(style.startsWith('>') ? ' ' : '\n');
    return style.endsWith('-') ? text : `${text}\n`;
  }
}

/** Throws a SyntaxError that names the line. */
export function parseYaml(text: string): YamlValue {
  return new Blocks(text).parse();
}
