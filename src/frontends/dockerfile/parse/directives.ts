/** Parser directives: `# name=value` lines at the very top, until the first line that is none. */
import { cut, trimStart } from '../go-text.ts';
import { lineRanges, textError } from '../located-error.ts';
import type { LineRange } from '../located-error.ts';

const KNOWN: ReadonlySet<string> = new Set(['syntax', 'escape', 'check']);
const DIRECTIVE = /^([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S(?:.*\S)?)\s*$/;

export interface Directive {
  readonly name: string;
  readonly value: string;
  readonly line: number;
}

/** Fed with every line in turn. */
export class DirectiveReader {
  readonly #comment: string;
  readonly #seen = new Set<string>();
  #line: number;
  #done = false;

  constructor(comment = '#', linesBefore = 0) {
    this.#comment = comment;
    this.#line = linesBefore;
  }

  get done(): boolean {
    return this.#done;
  }

  /** Throws when a directive comes a second time. */
  read(line: string): Directive | undefined {
    this.#line++;
    if (this.#done) return undefined;
    const body = line.startsWith(this.#comment) ? trimStart(line.slice(this.#comment.length)) : undefined;
    const match = body === undefined ? null : DIRECTIVE.exec(body);
    const name = match?.[1].toLowerCase();
    if (match === null || name === undefined || !KNOWN.has(name)) {
      this.#done = true;
      return undefined;
    }
    if (this.#seen.has(name)) throw textError(`only one ${name} parser directive can be used`);
    this.#seen.add(name);
    return { name, value: match[2], line: this.#line };
  }
}

export interface DetectedDirective {
  /** Up to the first blank. */
  readonly value: string;
  readonly full: string;
  readonly location: readonly LineRange[];
}

function probe(key: string, text: string, comment: string, linesBefore: number): DetectedDirective | undefined {
  const reader = new DirectiveReader(comment, linesBefore);
  for (const line of text.split('\n')) {
    if (reader.done) return undefined;
    let directive: Directive | undefined;
    try {
      directive = reader.read(line.endsWith('\r') ? line.slice(0, -1) : line);
    } catch {
      // The full parse reports a doubled directive; what stood before it counts.
      return undefined;
    }
    if (directive?.name === key) {
      return { value: cut(directive.value, ' ')[0], full: directive.value, location: lineRanges(directive.line) };
    }
  }
  return undefined;
}

function withoutShebang(text: string): [text: string, lines: number] {
  if (!text.startsWith('#!')) return [text, 0];
  return [cut(text, '\n')[1], 1];
}

/** The value of a directive in `#` comments. `text` has no byte order mark. */
export function findDirective(key: string, text: string): DetectedDirective | undefined {
  const [body, lines] = withoutShebang(text);
  return probe(key, body, '#', lines);
}

/** The frontend that a file of any language asks for: `# syntax=`, `// syntax=`, or a JSON object with the key `syntax`. */
export function detectSyntax(text: string): DetectedDirective | undefined {
  const [body, lines] = withoutShebang(text);
  const found = probe('syntax', body, '#', lines) ?? probe('syntax', body, '//', lines);
  if (found !== undefined || !body.trimStart().startsWith('{')) return found;
  try {
    const value = (JSON.parse(body) as { syntax?: unknown }).syntax;
    if (typeof value === 'string') return { value, full: value, location: lineRanges(lines) };
  } catch {
    // Not JSON: no syntax is asked for.
  }
  return undefined;
}
