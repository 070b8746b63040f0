/** What a pattern says, as a tree. The language is that of Go's regexp (RE2): no look-around, no references back. */
import { invalidArgument } from '../errors.ts';
import type { BuildError } from '../errors.ts';

/** Whether a code point is one of a set. */
export type CharTest = (char: number) => boolean;

export type Assertion = 'textStart' | 'textEnd' | 'lineStart' | 'lineEnd' | 'wordBoundary' | 'noWordBoundary';

export type Node =
  | { readonly kind: 'char'; readonly test: CharTest }
  | { readonly kind: 'assert'; readonly what: Assertion }
  | { readonly kind: 'group'; readonly index: number; readonly body: Node }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly options: readonly Node[] }
  /** `max` undefined: without end. */
  | {
      readonly kind: 'repeat';
      readonly body: Node;
      readonly min: number;
      readonly max?: number;
      readonly lazy: boolean;
    };

export interface Syntax {
  readonly root: Node;
  readonly groups: number;
  /** Group numbers by name. */
  readonly names: ReadonlyMap<string, number>;
}

interface Flags {
  readonly ignoreCase: boolean;
  readonly multiLine: boolean;
  readonly dotAll: boolean;
  readonly ungreedy: boolean;
}

const MAX_REPEAT = 1000;
/** Go's own limit; below it recursion is safe. */
const MAX_DEPTH = 1000;
const MAX_PATTERN = 16 * 1024;

const isWord: CharTest = (c) => (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95;
const isDigit: CharTest = (c) => c >= 48 && c <= 57;
const isSpace: CharTest = (c) => c === 32 || c === 9 || c === 10 || c === 12 || c === 13;
const isLineEnd = (c: number): boolean => c === 10;

const PERL: Readonly<Record<string, CharTest>> = { d: isDigit, w: isWord, s: isSpace };
const ESCAPES: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };

const within =
  (...ranges: readonly [number, number][]): CharTest =>
  (c) =>
    ranges.some(([from, to]) => c >= from && c <= to);
const UPPER: [number, number] = [65, 90];
const LOWER: [number, number] = [97, 122];
const DIGITS: [number, number] = [48, 57];
const POSIX: Readonly<Record<string, CharTest>> = {
  alnum: within(UPPER, LOWER, DIGITS),
  alpha: within(UPPER, LOWER),
  ascii: within([0, 127]),
  blank: within([9, 9], [32, 32]),
  cntrl: within([0, 31], [127, 127]),
  digit: within(DIGITS),
  graph: within([33, 126]),
  lower: within(LOWER),
  print: within([32, 126]),
  punct: within([33, 47], [58, 64], [91, 96], [123, 126]),
  space: within([9, 13], [32, 32]),
  upper: within(UPPER),
  word: isWord,
  xdigit: within(DIGITS, [65, 70], [97, 102]),
};

const not =
  (test: CharTest): CharTest =>
  (c) =>
    !test(c);

function foldCase(test: CharTest): CharTest {
  return (c) => {
    if (test(c)) return true;
    const text = String.fromCodePoint(c);
    const lower = text.toLowerCase().codePointAt(0) as number;
    const upper = text.toUpperCase().codePointAt(0) as number;
    return (lower !== c && test(lower)) || (upper !== c && test(upper));
  };
}

function unicodeClass(name: string, written: string): CharTest {
  if (name === 'Any') return () => true;
  let pattern: RegExp | undefined;
  // A general category has one or two letters, a script more. One code point at a time cannot run away.
  if (/^\w+$/.test(name)) {
    try {
      pattern = new RegExp(name.length <= 2 ? `^\\p{${name}}$` : `^\\p{Script=${name}}$`, 'u');
    } catch {
      pattern = undefined;
    }
  }
  if (pattern === undefined) throw syntaxError('invalid character class range', written);
  const found = pattern;
  return (c) => found.test(String.fromCodePoint(c));
}

function syntaxError(what: string, where: string): BuildError {
  return invalidArgument(`error parsing regexp: ${what}: \`${where}\``);
}

class Parser {
  readonly #chars: readonly string[];
  readonly #names = new Map<string, number>();
  #at = 0;
  #groups = 0;
  #depth = 0;

  constructor(pattern: string) {
    if (pattern.length > MAX_PATTERN) throw invalidArgument('error parsing regexp: expression too large');
    this.#chars = Array.from(pattern);
  }

  parse(): Syntax {
    const root = this.#choice({ ignoreCase: false, multiLine: false, dotAll: false, ungreedy: false });
    if (this.#at < this.#chars.length) throw syntaxError('unexpected )', this.#from(0));
    return { root, groups: this.#groups, names: this.#names };
  }

  #from(at: number): string {
    return this.#chars.slice(at).join('');
  }

  #peek(offset = 0): string | undefined {
    return this.#chars[this.#at + offset];
  }

  #take(text: string): boolean {
    const chars = Array.from(text);
    if (!chars.every((c, i) => this.#peek(i) === c)) return false;
    this.#at += chars.length;
    return true;
  }

  /** Up to `)` or the end. */
  #choice(flags: Flags): Node {
    if (++this.#depth > MAX_DEPTH) throw invalidArgument('error parsing regexp: expression nests too deeply');
    const options: Node[] = [];
    let current = flags;
    let parts: Node[] = [];
    for (let next = this.#peek(); next !== undefined && next !== ')'; next = this.#peek()) {
      if (next === '|') {
        this.#at++;
        options.push({ kind: 'sequence', parts });
        parts = [];
        continue;
      }
      const changed = this.#flagChange(current);
      if (changed !== undefined) {
        current = changed;
        continue;
      }
      if (this.#take('\\Q')) {
        const quoted = this.#quoted(current);
        // What is repeated is the last character.
        const last = quoted.pop();
        if (last !== undefined) parts.push(...quoted, this.#repeated(last, current));
        continue;
      }
      const atom = this.#atom(current);
      parts.push(this.#repeated(atom, current));
    }
    this.#depth--;
    options.push({ kind: 'sequence', parts });
    return options.length === 1 ? options[0] : { kind: 'choice', options };
  }

  /** Up to `\E` or the end of the pattern. */
  #quoted(flags: Flags): Node[] {
    const parts: Node[] = [];
    while (this.#peek() !== undefined && !this.#take('\\E')) parts.push(this.#literal(this.#next(), flags));
    return parts;
  }

  #next(): number {
    return (this.#chars[this.#at++] ?? '').codePointAt(0) ?? 0;
  }

  #literal(char: number, { ignoreCase }: Flags): Node {
    const test: CharTest = (c) => c === char;
    return { kind: 'char', test: ignoreCase ? foldCase(test) : test };
  }

  /** `(?i)`: for the rest of the group. */
  #flagChange(flags: Flags): Flags | undefined {
    const match = /^\(\?([a-zA-Z-]*)\)/.exec(this.#chars.slice(this.#at, this.#at + 20).join(''));
    if (match === null) return undefined;
    const changed = this.#withFlags(flags, match[1], match[0]);
    this.#at += match[0].length;
    return changed;
  }

  #withFlags(flags: Flags, letters: string, written: string): Flags {
    const unsupported = (): BuildError => syntaxError('invalid or unsupported Perl syntax', written);
    const keys = { i: 'ignoreCase', m: 'multiLine', s: 'dotAll', U: 'ungreedy' } as const;
    let on = true;
    let seen = false;
    const changed = { ...flags };
    for (const letter of letters) {
      if (letter === '-') {
        if (!on) throw unsupported();
        on = false;
        seen = false;
        continue;
      }
      const key = Object.hasOwn(keys, letter) ? keys[letter as keyof typeof keys] : undefined;
      if (key === undefined) throw unsupported();
      changed[key] = on;
      seen = true;
    }
    if (!on && !seen) throw unsupported();
    return changed;
  }

  #atom(flags: Flags): Node {
    const char = this.#peek() as string;
    switch (char) {
      case '(':
        return this.#group(flags);
      case '[':
        return { kind: 'char', test: this.#class(flags) };
      case '.':
        this.#at++;
        return { kind: 'char', test: flags.dotAll ? () => true : not(isLineEnd) };
      case '^':
        this.#at++;
        return { kind: 'assert', what: flags.multiLine ? 'lineStart' : 'textStart' };
      case '$':
        this.#at++;
        return { kind: 'assert', what: flags.multiLine ? 'lineEnd' : 'textEnd' };
      case '*':
      case '+':
      case '?':
        throw syntaxError('missing argument to repetition operator', char);
      case '\\':
        return this.#escape(flags);
      case '{':
        if (this.#bounds() !== undefined) {
          throw syntaxError('missing argument to repetition operator', this.#boundsText());
        }
        break;
    }
    return this.#literal(this.#next(), flags);
  }

  #group(flags: Flags): Node {
    const started = this.#at;
    this.#at++;
    let inner = flags;
    let index: number | undefined;
    if (this.#peek() === '?') {
      const text = this.#from(started);
      const named = /^\(\?P?<([^>]*)>/.exec(text);
      const plain = /^\(\?([a-zA-Z-]*):/.exec(text);
      if (named !== null) {
        index = this.#name(named[1], named[0]);
        this.#at = started + Array.from(named[0]).length;
      } else if (plain !== null) {
        inner = this.#withFlags(flags, plain[1], plain[0]);
        this.#at = started + plain[0].length;
      } else if (/^\(\?P?<(?![=!])/.test(text)) throw syntaxError('invalid named capture', text);
      else
        throw syntaxError(
          'invalid or unsupported Perl syntax',
          Array.from(text)
            .slice(0, text[2] === '<' ? 4 : 3)
            .join(''),
        );
    } else index = ++this.#groups;
    const body = this.#choice(inner);
    if (!this.#take(')')) throw syntaxError('missing closing )', this.#from(0));
    return index === undefined ? body : { kind: 'group', index, body };
  }

  #name(name: string, written: string): number {
    if (!/^\w+$/.test(name)) throw syntaxError('invalid named capture', written);
    if (this.#names.has(name)) throw syntaxError('duplicate capture group name', name);
    const index = ++this.#groups;
    this.#names.set(name, index);
    return index;
  }

  #boundsText(): string {
    return /^\{(\d+)(,(\d*))?\}/.exec(this.#chars.slice(this.#at, this.#at + 24).join(''))?.[0] ?? '';
  }

  #bounds(): { min: number; max?: number } | undefined {
    const match = /^\{(\d+)(?:(,)(\d*))?\}$/.exec(this.#boundsText());
    if (match === null) return undefined;
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === '' ? undefined : Number(match[3]);
    if (min > MAX_REPEAT || (max !== undefined && (max > MAX_REPEAT || max < min))) {
      throw syntaxError('invalid repeat count', match[0]);
    }
    return max === undefined ? { min } : { min, max };
  }

  #repeated(body: Node, { ungreedy }: Flags): Node {
    const at = this.#at;
    const bounds = this.#repetition();
    if (bounds === undefined) return body;
    const lazy = this.#take('?') !== ungreedy;
    const operator = this.#at;
    if (this.#repetition() !== undefined) {
      this.#take('?');
      throw syntaxError('invalid nested repetition operator', this.#chars.slice(at, this.#at).join(''));
    }
    this.#at = operator;
    return { kind: 'repeat', body, lazy, ...bounds };
  }

  #repetition(): { min: number; max?: number } | undefined {
    if (this.#take('*')) return { min: 0 };
    if (this.#take('+')) return { min: 1 };
    if (this.#take('?')) return { min: 0, max: 1 };
    if (this.#peek() !== '{') return undefined;
    const bounds = this.#bounds();
    if (bounds !== undefined) this.#at += this.#boundsText().length;
    return bounds;
  }

  #escape(flags: Flags): Node {
    const assertions = { A: 'textStart', z: 'textEnd', b: 'wordBoundary', B: 'noWordBoundary' } as const;
    const letter = this.#peek(1);
    if (letter !== undefined && Object.hasOwn(assertions, letter)) {
      this.#at += 2;
      return { kind: 'assert', what: assertions[letter as keyof typeof assertions] };
    }
    const test = this.#classEscape(flags);
    if (test !== undefined) return { kind: 'char', test };
    return this.#literal(this.#charEscape(), flags);
  }

  /** `\d`, `\pL`, …: undefined when something else stands there. */
  #classEscape({ ignoreCase }: Flags): CharTest | undefined {
    const letter = this.#peek(1);
    if (letter === undefined) return undefined;
    const perl = Object.hasOwn(PERL, letter.toLowerCase()) ? PERL[letter.toLowerCase()] : undefined;
    if (perl !== undefined) {
      this.#at += 2;
      return letter === letter.toLowerCase() ? perl : not(perl);
    }
    if (letter !== 'p' && letter !== 'P') return undefined;
    const match = /^\\[pP](?:\{(\^?)([^}]*)\}|([^{]))/u.exec(this.#from(this.#at));
    if (match === null) throw syntaxError('invalid character class range', this.#from(this.#at));
    const test = unicodeClass(match[3] ?? match[2], match[0]);
    this.#at += Array.from(match[0]).length;
    const negative = (letter === 'P') !== (match[1] === '^');
    return negative ? not(ignoreCase ? foldCase(test) : test) : ignoreCase ? foldCase(test) : test;
  }

  #charEscape(): number {
    const text = this.#from(this.#at);
    if (text === '\\') throw syntaxError('trailing backslash at end of expression', '');
    const hex = /^\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))/.exec(text);
    const octal = /^\\([1-7][0-7]{1,2}|0[0-7]{0,2})/.exec(text);
    const invalid = (): BuildError => syntaxError('invalid escape sequence', Array.from(text).slice(0, 2).join(''));
    if (hex !== null) {
      const char = parseInt(hex[1] ?? hex[2], 16);
      if (char > 0x10ffff) throw invalid();
      this.#at += hex[0].length;
      return char;
    }
    if (octal !== null) {
      this.#at += octal[0].length;
      return parseInt(octal[1], 8);
    }
    const letter = this.#peek(1) as string;
    const known = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined;
    if (known === undefined && (/^[\w]$/.test(letter) || (letter.codePointAt(0) as number) >= 128)) throw invalid();
    this.#at += 2;
    return known ?? (letter.codePointAt(0) as number);
  }

  #class(flags: Flags): CharTest {
    const started = this.#at;
    this.#at++;
    const negative = this.#take('^');
    const tests: CharTest[] = [];
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      if (this.#peek() === undefined) throw syntaxError('missing closing ]', this.#from(started));
      tests.push(this.#posixClass() ?? this.#escapedClass(flags) ?? this.#range(started));
    }
    this.#at++;
    const any: CharTest = (c) => tests.some((test) => test(c));
    const folded = flags.ignoreCase ? foldCase(any) : any;
    return negative ? not(folded) : folded;
  }

  #posixClass(): CharTest | undefined {
    const match = /^\[:(\^?)(\w+):\]/.exec(this.#chars.slice(this.#at, this.#at + 16).join(''));
    if (match === null) return undefined;
    const test = Object.hasOwn(POSIX, match[2]) ? POSIX[match[2]] : undefined;
    if (test === undefined) throw syntaxError('invalid character class range', match[0]);
    this.#at += match[0].length;
    return match[1] === '^' ? not(test) : test;
  }

  #escapedClass(flags: Flags): CharTest | undefined {
    return this.#peek() === '\\' ? this.#classEscape(flags) : undefined;
  }

  #range(started: number): CharTest {
    const at = this.#at;
    const from = this.#classChar(started);
    let to = from;
    if (this.#peek() === '-' && this.#peek(1) !== ']' && this.#peek(1) !== undefined) {
      this.#at++;
      to = this.#classChar(started);
      if (to < from) throw syntaxError('invalid character class range', this.#chars.slice(at, this.#at).join(''));
    }
    return (c) => c >= from && c <= to;
  }

  #classChar(started: number): number {
    if (this.#peek() === undefined) throw syntaxError('missing closing ]', this.#from(started));
    return this.#peek() === '\\' ? this.#charEscape() : this.#next();
  }
}

/** Throws InvalidArgument with Go's texts. */
export function parseRegexp(pattern: string): Syntax {
  return new Parser(pattern).parse();
}

export { isWord };
