/** Go's syntax of regular expressions (RE2) as a tree. Groups are not captured, and greed makes no difference. */
import { anyOf, between, foldCase, not, PERL, POSIX } from './char-tests.ts';
import type { CharTest } from './char-tests.ts';

const MAX_REPEAT = 1000;
const MAX_DEPTH = 200;

export type AssertKind = 'textStart' | 'textEnd' | 'lineStart' | 'lineEnd' | 'word' | 'notWord';

export type Node =
  | { readonly kind: 'char'; readonly test: CharTest }
  | { readonly kind: 'assert'; readonly what: AssertKind }
  | { readonly kind: 'sequence' | 'either'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly min: number; readonly max: number };

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
}

const CONTROL: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };
const ASSERTIONS: Readonly<Record<string, AssertKind>> = { A: 'textStart', z: 'textEnd', b: 'word', B: 'notWord' };

/** Reads a pattern. Fails with a SyntaxError that says why, as Go does. */
class Parser {
  readonly #chars: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#chars = Array.from(text);
  }

  parse(): Node {
    const node = this.#either({ i: false, m: false, s: false });
    if (this.#at < this.#chars.length) throw new SyntaxError('unexpected )');
    return node;
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #take(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.#chars[this.#at + i] !== text[i]) return false;
    this.#at += text.length;
    return true;
  }

  #next(): string {
    const char = this.#chars[this.#at++];
    if (char === undefined) throw new SyntaxError('trailing backslash at end of expression');
    return char;
  }

  #either(given: Flags): Node {
    if (++this.#depth > MAX_DEPTH) throw new SyntaxError('expression nests too deeply');
    let flags = given;
    const choices: Node[] = [];
    let parts: Node[] = [];
    const isDone = (): boolean => this.#peek() === undefined || this.#peek() === ')';
    while (!isDone()) {
      if (this.#take('|')) {
        choices.push({ kind: 'sequence', parts });
        parts = [];
        continue;
      }
      const changed = this.#flagGroup(flags);
      if (changed !== undefined) flags = changed;
      else parts.push(this.#repeated(flags));
    }
    this.#depth--;
    return { kind: 'either', parts: [...choices, { kind: 'sequence', parts }] };
  }

  /** `(?i)` and the like, which hold to the end of the group they are in. */
  #flagGroup(flags: Flags): Flags | undefined {
    const start = this.#at;
    if (!this.#take('(?')) return undefined;
    const changed = this.#flags(flags);
    if (changed !== undefined && this.#take(')')) return changed;
    this.#at = start;
    return undefined;
  }

  #flags(flags: Flags): Flags | undefined {
    let on = true;
    const changed: Record<string, boolean> = {};
    for (;;) {
      const char = this.#peek();
      if (char === '-' && on) on = false;
      else if (char !== undefined && 'imsU'.includes(char)) changed[char] = on;
      else break;
      this.#at++;
    }
    return { ...flags, ...changed };
  }

  #repeated(flags: Flags): Node {
    let node = this.#atom(flags);
    for (;;) {
      const range = this.#repetition();
      if (range === undefined) return node;
      this.#take('?'); // Whether it takes more or less makes no difference to whether it matches.
      node = { kind: 'repeat', part: node, ...range };
    }
  }

  #repetition(): { min: number; max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Infinity };
    if (this.#take('+')) return { min: 1, max: Infinity };
    if (this.#take('?')) return { min: 0, max: 1 };
    if (this.#peek() !== '{') return undefined;
    const end = this.#chars.indexOf('}', this.#at);
    const found = /^\{(\d{1,4})(,(\d{0,4}))?\}$/.exec(
      this.#chars.slice(this.#at, Math.min(end + 1, this.#at + 12)).join(''),
    );
    if (end < 0 || found === null) return undefined;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === '' ? Infinity : Number(found[3]);
    if (min > MAX_REPEAT || (max !== Infinity && (max > MAX_REPEAT || max < min)))
      throw new SyntaxError(`invalid repeat count: ${found[0]}`);
    this.#at = end + 1;
    return { min, max };
  }

  #atom(flags: Flags): Node {
    const char = this.#next();
    switch (char) {
      case '(':
        return this.#group(flags);
      case '[':
        return this.#char(this.#set(flags), flags);
      case '.':
        return { kind: 'char', test: flags.s ? () => true : (code) => code !== 10 };
      case '^':
        return { kind: 'assert', what: flags.m ? 'lineStart' : 'textStart' };
      case '$':
        return { kind: 'assert', what: flags.m ? 'lineEnd' : 'textEnd' };
      case '*':
      case '+':
      case '?':
        throw new SyntaxError(`missing argument to repetition operator: ${char}`);
      case '\\':
        return this.#escaped(flags);
      default:
        return this.#literal(char, flags);
    }
  }

  #literal(char: string, flags: Flags): Node {
    const wanted = char.codePointAt(0) as number;
    return this.#char((code) => code === wanted, flags);
  }

  #char(test: CharTest, flags: Flags): Node {
    return { kind: 'char', test: flags.i ? foldCase(test) : test };
  }

  #group(flags: Flags): Node {
    let inner = flags;
    if (this.#take('?')) {
      if (this.#take('P<') || this.#take('<')) {
        const end = this.#chars.indexOf('>', this.#at);
        if (end < 0 || !/^\w+$/.test(this.#chars.slice(this.#at, end).join('')))
          throw new SyntaxError('invalid named capture');
        this.#at = end + 1;
      } else {
        inner = this.#flags(flags) as Flags;
        if (!this.#take(':')) throw new SyntaxError('invalid or unsupported Perl syntax');
      }
    }
    const node = this.#either(inner);
    if (!this.#take(')')) throw new SyntaxError('missing closing )');
    return node;
  }

  #escaped(flags: Flags): Node {
    if (this.#take('Q')) {
      const parts: Node[] = [];
      while (this.#at < this.#chars.length && !this.#take('\\E')) parts.push(this.#literal(this.#next(), flags));
      return { kind: 'sequence', parts };
    }
    const assertion = ASSERTIONS[this.#peek() ?? ''];
    if (assertion !== undefined) {
      this.#at++;
      return { kind: 'assert', what: assertion };
    }
    return this.#char(this.#classOrCode(), flags);
  }

  /** What a backslash stands for, in a set or outside. */
  #classOrCode(): CharTest {
    const code = this.#code();
    return typeof code === 'number' ? (other) => other === code : code;
  }

  #code(): number | CharTest {
    const char = this.#next();
    const perl = PERL[char.toLowerCase()];
    if (perl !== undefined) return char === char.toLowerCase() ? perl : not(perl);
    if (char === 'p' || char === 'P') return this.#unicode(char === 'P');
    if (Object.hasOwn(CONTROL, char)) return CONTROL[char] as number;
    if (char === 'x') return this.#hexadecimal();
    if (/[0-7]/.test(char)) {
      let digits = char;
      while (digits.length < 3 && /[0-7]/.test(this.#peek() ?? '')) digits += this.#next();
      if (digits.length > 1 || char === '0') return Number.parseInt(digits, 8);
    }
    if (/[A-Za-z0-9]/.test(char)) throw new SyntaxError(`invalid escape sequence: \\${char}`);
    return char.codePointAt(0) as number;
  }

  #hexadecimal(): number {
    const rest = this.#chars.slice(this.#at, this.#at + 10).join('');
    const found = /^(?:\{([0-9A-Fa-f]{1,8})\}|([0-9A-Fa-f]{2}))/.exec(rest);
    const code = found === null ? Infinity : Number.parseInt(found[1] ?? found[2] ?? '', 16);
    if (found === null || code > 0x10ffff) throw new SyntaxError('invalid escape sequence: \\x');
    this.#at += found[0].length;
    return code;
  }

  #unicode(negated: boolean): CharTest {
    let name = this.#next();
    if (name === '{') {
      const end = this.#chars.indexOf('}', this.#at);
      name = this.#chars.slice(this.#at, Math.max(end, this.#at)).join('');
      this.#at = end + 1;
    }
    if (!/^\w{1,40}$/.test(name)) throw new SyntaxError('invalid character class range');
    for (const property of [name, `Script=${name}`]) {
      try {
        const one = new RegExp(`^\\p{${property}}$`, 'u');
        const test: CharTest = (code) => one.test(String.fromCodePoint(code));
        return negated ? not(test) : test;
      } catch {
        // not a category, perhaps a script
      }
    }
    throw new SyntaxError(`invalid character class range: \\p{${name}}`);
  }

  #set(flags: Flags): CharTest {
    const negated = this.#take('^');
    const tests: CharTest[] = [];
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      if (this.#peek() === undefined) throw new SyntaxError('missing closing ]');
      tests.push(this.#posix() ?? this.#range());
    }
    this.#at++;
    const test = flags.i ? foldCase(anyOf(tests)) : anyOf(tests);
    return negated ? not(test) : test;
  }

  #posix(): CharTest | undefined {
    const found = /^\[:(\^?)(\w{1,10}):\]/.exec(this.#chars.slice(this.#at, this.#at + 16).join(''));
    if (found === null) return undefined;
    const test = Object.hasOwn(POSIX, found[2] as string) ? POSIX[found[2] as string] : undefined;
    if (test === undefined) throw new SyntaxError(`invalid character class range: ${found[0]}`);
    this.#at += found[0].length;
    return found[1] === '' ? test : not(test);
  }

  #range(): CharTest {
    const one = (): number | CharTest => (this.#take('\\') ? this.#code() : (this.#next().codePointAt(0) as number));
    const from = one();
    if (typeof from !== 'number') return from;
    if (this.#peek() !== '-' || [']', undefined].includes(this.#chars[this.#at + 1])) return between(from, from);
    this.#at++;
    const to = one();
    if (typeof to !== 'number' || to < from) throw new SyntaxError('invalid character class range');
    return between(from, to);
  }
}

/** Throws a SyntaxError that says what is wrong. */
export function parsePattern(text: string): Node {
  return new Parser(text).parse();
}
