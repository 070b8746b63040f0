/**
 * Expansion of `$NAME` and `${NAME…}` in a word and splitting into words, with quotes and escapes taken away or kept.
 * Deliberately absent: command substitution, arithmetic, brackets in patterns.
 */
import { isSpace, quote } from '../go-text.ts';
import { prefixError, textError } from '../located-error.ts';
import { findMatch, parsePattern, prefixLength, reversePattern } from './shell-pattern.ts';
import type { ShellPattern } from './shell-pattern.ts';

export interface Env {
  get(name: string): string | undefined;
  keys(): readonly string[];
}

export const EMPTY_ENV: Env = { get: () => undefined, keys: () => [] };

export interface LexOptions {
  /** Backslash or backtick. */
  readonly escape: string;
  /** Quotes stay in the result. */
  readonly rawQuotes?: boolean;
  /** Escape characters stay in the result. */
  readonly rawEscapes?: boolean;
  /** Quotes are ordinary characters. */
  readonly ignoreQuotes?: boolean;
  /** What names an unset variable stays as it was written. */
  readonly keepUnset?: boolean;
}

export interface Expansion {
  readonly text: string;
  readonly words: readonly string[];
  readonly matched: ReadonlySet<string>;
  readonly unmatched: ReadonlySet<string>;
}

/** Nested `${a:-${b:-…}}` cost a stack frame each. */
const MAX_DEPTH = 200;
/** An expansion may double its input at every ENV; a build that goes on doubling is stopped here. */
const MAX_RESULT = 16 * 1024 * 1024;

export function expandWord(source: string, env: Env, options: LexOptions): Expansion {
  const lexer = new Lexer(source, env, options);
  try {
    const { text, words } = lexer.run(undefined, options.rawEscapes === true);
    return { text, words, matched: lexer.matched, unmatched: lexer.unmatched };
  } catch (error) {
    throw prefixError(error, `failed to process ${quote(source)}`);
  }
}

class Words {
  readonly done: string[] = [];
  #current = '';

  add(text: string): void {
    for (const char of text) {
      if (!isSpace(char)) this.#current += char;
      else this.#finish();
    }
  }

  addRaw(text: string): void {
    this.#current += text;
  }

  #finish(): void {
    if (this.#current !== '') this.done.push(this.#current);
    this.#current = '';
  }

  end(): readonly string[] {
    this.#finish();
    return this.done;
  }
}

class Lexer {
  readonly matched = new Set<string>();
  readonly unmatched = new Set<string>();
  readonly #chars: readonly string[];
  readonly #env: Env;
  readonly #options: LexOptions;
  #at = 0;
  #rawEscapes = false;
  #depth = 0;
  #size = 0;

  constructor(source: string, env: Env, options: LexOptions) {
    this.#chars = Array.from(source);
    this.#env = env;
    this.#options = options;
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #next(): string | undefined {
    return this.#chars[this.#at++];
  }

  /** Reads up to `stop`, which is consumed, or to the end. */
  run(stop: string | undefined, rawEscapes: boolean): { text: string; words: readonly string[] } {
    if (++this.#depth > MAX_DEPTH) throw textError('expression is nested too deeply');
    const outer = this.#rawEscapes;
    this.#rawEscapes = rawEscapes;
    try {
      return this.#run(stop);
    } finally {
      this.#rawEscapes = outer;
      this.#depth--;
    }
  }

  #run(stop: string | undefined): { text: string; words: readonly string[] } {
    const { escape, ignoreQuotes } = this.#options;
    const words = new Words();
    let text = '';
    for (let char = this.#peek(); char !== undefined; char = this.#peek()) {
      if (char === stop) {
        this.#at++;
        return { text, words: words.end() };
      }
      if (char === '$') {
        const value = this.#dollar();
        text += value;
        words.add(value);
      } else if (char === '<') {
        const value = this.#heredocMark();
        text += value;
        words.addRaw(value);
      } else if (ignoreQuotes !== true && (char === "'" || char === '"')) {
        const value = char === "'" ? this.#singleQuoted() : this.#doubleQuoted();
        text += value;
        words.addRaw(value);
      } else {
        this.#at++;
        if (char !== escape) {
          text += char;
          words.add(char);
          continue;
        }
        if (this.#rawEscapes) {
          text += char;
          words.addRaw(char);
        }
        const escaped = this.#next();
        if (escaped === undefined) break;
        text += escaped;
        words.addRaw(escaped);
      }
    }
    if (stop !== undefined) {
      throw textError(`unexpected end of statement while looking for matching ${stop}`);
    }
    return { text, words: words.end() };
  }

  #singleQuoted(): string {
    const { rawQuotes } = this.#options;
    this.#at++;
    let text = rawQuotes ? "'" : '';
    for (;;) {
      const char = this.#next();
      if (char === undefined) {
        throw textError('unexpected end of statement while looking for matching single-quote');
      }
      if (char === "'") return rawQuotes ? `${text}'` : text;
      text += char;
    }
  }

  #doubleQuoted(): string {
    const { rawQuotes, escape } = this.#options;
    this.#at++;
    let text = rawQuotes ? '"' : '';
    for (;;) {
      const char = this.#peek();
      if (char === undefined) {
        throw textError('unexpected end of statement while looking for matching double-quote');
      }
      if (char === '$') {
        text += this.#dollar();
        continue;
      }
      this.#at++;
      if (char === '"') return rawQuotes ? `${text}"` : text;
      if (char !== escape) {
        text += char;
        continue;
      }
      if (this.#rawEscapes) text += char;
      const escaped = this.#peek();
      if (escaped === undefined) continue;
      if (escaped === '"' || escaped === '$' || escaped === escape) {
        this.#at++;
        text += escaped;
      } else text += char;
    }
  }

  /** `<<` and the blanks behind it belong to one word. */
  #heredocMark(): string {
    this.#at++;
    if (this.#peek() !== '<') return '<';
    this.#at++;
    let text = '<<';
    for (let char = this.#peek(); char === '\t' || char === '\r' || char === ' '; char = this.#peek()) {
      text += char;
      this.#at++;
    }
    return text;
  }

  #name(): string {
    const first = this.#peek();
    if (first === undefined) return '';
    if (/\p{Nd}/u.test(first)) return this.#while(/\p{Nd}/u);
    if ('@*#?-$!0'.includes(first)) {
      this.#at++;
      return first;
    }
    return this.#while(/[\p{L}\p{Nd}_]/u);
  }

  #while(pattern: RegExp): string {
    const start = this.#at;
    for (let char = this.#peek(); char !== undefined && pattern.test(char); char = this.#peek()) this.#at++;
    return this.#chars.slice(start, this.#at).join('');
  }

  #value(name: string): string | undefined {
    const value = this.#env.get(name);
    (value === undefined ? this.unmatched : this.matched).add(name);
    this.#size += value?.length ?? 0;
    if (this.#size > MAX_RESULT) throw textError('expanded text is too long');
    return value;
  }

  #dollar(): string {
    const { keepUnset } = this.#options;
    this.#at++;
    if (this.#peek() !== '{') {
      const name = this.#name();
      if (name === '') return '$';
      return this.#value(name) ?? (keepUnset ? `$${name}` : '');
    }
    this.#at++;
    const first = this.#peek();
    if (first === undefined) throw textError("syntax error: missing '}'");
    if (first === '{' || first === '}' || first === ':') throw textError('syntax error: bad substitution');
    const name = this.#name();
    const operator = this.#next() ?? '\ufffd';
    if (operator === '}') return this.#value(name) ?? (keepUnset ? `\${${name}}` : '');
    if (operator === '/') return this.#replace(name);
    if (operator === ':') {
      const modifier = this.#next() ?? '\ufffd';
      if (modifier === '#' || modifier === '%') throw unsupported(`:${modifier}`);
      return this.#modify(name, modifier, true);
    }
    if ('+-?#%'.includes(operator)) return this.#modify(name, operator, false);
    throw unsupported(operator);
  }

  #operand(stop: string, rawEscapes: boolean, missing: string): string {
    try {
      return this.run(stop, rawEscapes).text;
    } catch (error) {
      throw this.#peek() === undefined ? textError(missing) : error;
    }
  }

  #modify(name: string, modifier: string, emptyIsUnset: boolean): string {
    const trims = modifier === '#' || modifier === '%';
    const operand = this.#operand('}', trims, "syntax error: missing '}'");
    const value = this.#value(name);
    const operator = emptyIsUnset ? `:${modifier}` : modifier;
    if (this.#options.keepUnset && value === undefined) return `\${${name}${operator}${operand}}`;
    const missing = value === undefined || (emptyIsUnset && value === '');
    switch (modifier) {
      case '-':
        return missing ? operand : value;
      case '+':
        return missing ? '' : operand;
      case '?': {
        if (!missing) return value;
        const state = value === undefined ? 'unset' : 'empty';
        throw textError(`${name}: ${operand === '' ? `is not allowed to be ${state}` : operand}`);
      }
      case '#':
      case '%': {
        const longest = operand.startsWith(modifier);
        const pattern = compile(longest ? operand.slice(1) : operand);
        return modifier === '#' ? cutPrefix(pattern, value ?? '', longest) : cutSuffix(pattern, value ?? '', longest);
      }
      default:
        throw unsupported(operator);
    }
  }

  #replace(name: string): string {
    const all = this.#peek() === '/';
    if (all) this.#at++;
    const source = this.#operand('/', true, "syntax error: missing '/' in ${}");
    const replacement = this.#operand('}', true, "syntax error: missing '}'");
    const value = this.#value(name);
    if (this.#options.keepUnset && value === undefined) return `\${${name}/${source}/${replacement}}`;
    const pattern = compile(source);
    return replaceIn(Array.from(value ?? ''), pattern, replacement, all);
  }
}

function unsupported(modifier: string): Error {
  return textError(`unsupported modifier (${modifier}) in substitution`);
}

function compile(text: string): ShellPattern {
  try {
    return parsePattern(text);
  } catch (error) {
    throw prefixError(error, `invalid pattern (${text}) in substitution`);
  }
}

function cutPrefix(pattern: ShellPattern, value: string, longest: boolean): string {
  const chars = Array.from(value);
  const length = prefixLength(pattern, chars, longest);
  return length < 0 ? value : chars.slice(length).join('');
}

function cutSuffix(pattern: ShellPattern, value: string, longest: boolean): string {
  const chars = Array.from(value).toReversed();
  const length = prefixLength(reversePattern(pattern), chars, longest);
  return length < 0 ? value : chars.slice(length).toReversed().join('');
}

/** In the form that replaces all, `$0`, `$$` and `$name` mean what they mean in a replacement of Go's regexp. */
function expandTemplate(template: string, match: string): string {
  return template.replace(/\$(?:\$|\{(\w+)\}|(\w+))/g, (whole, braced?: string, bare?: string) => {
    if (whole === '$$') return '$';
    return (braced ?? bare) === '0' ? match : '';
  });
}

function replaceIn(chars: readonly string[], pattern: ShellPattern, replacement: string, all: boolean): string {
  let text = '';
  let from = 0;
  while (from <= chars.length) {
    const found = findMatch(pattern, chars, from);
    if (found === undefined) break;
    text += chars.slice(from, found.start).join('');
    text += all ? expandTemplate(replacement, chars.slice(found.start, found.end).join('')) : replacement;
    if (text.length > MAX_RESULT) throw textError('expanded text is too long');
    from = found.end;
    if (found.end === found.start) text += chars[from++] ?? '';
    if (!all) break;
  }
  return text + chars.slice(from).join('');
}
