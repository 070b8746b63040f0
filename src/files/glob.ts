/** Go's filepath.Match: `*` and `?` stay within a name, `[…]` are ranges, `\` escapes; the pattern covers the whole path. */
import { invalidArgument } from '../base/index.ts';
import { boundedRegExp } from './bounded-regexp.ts';

const MAX_COMPILED = 256;
const compiled = new Map<string, (path: string) => boolean>();

function badPattern(): Error {
  return invalidArgument('syntax error in pattern');
}

/** A character that means itself in a regular expression. */
export function literal(char: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char;
}

function classLiteral(char: string): string {
  return char === '-' ? '\\-' : literal(char);
}

/** The text of the class that begins at `at` (behind its `[`), and where it ends. Throws for a malformed one. */
function classAt(chars: readonly string[], at: number): { source: string; next: number } {
  let i = at;
  const negated = chars[i] === '^';
  if (negated) i++;
  const one = (): string => {
    let char = chars[i];
    if (char === undefined || char === '-' || char === ']') throw badPattern();
    if (char === '\\') char = chars[++i];
    if (char === undefined) throw badPattern();
    i++;
    return char;
  };
  let ranges = '';
  for (let count = 0; ; count++) {
    if (chars[i] === ']' && count > 0) break;
    if (i >= chars.length) throw badPattern();
    const low = one();
    let high = low;
    if (chars[i] === '-') {
      i++;
      high = one();
    }
    // Go takes a range that is upside down and matches nothing with it.
    if ((low.codePointAt(0) as number) <= (high.codePointAt(0) as number))
      ranges += `${classLiteral(low)}-${classLiteral(high)}`;
  }
  const source = negated ? `[^${ranges}]` : ranges === '' ? '[^\\s\\S]' : `[${ranges}]`;
  return { source, next: i + 1 };
}

function compile(pattern: string): (path: string) => boolean {
  const chars = Array.from(pattern);
  let source = '';
  let wildcards = 0;
  for (let i = 0; i < chars.length;) {
    const char = chars[i++] as string;
    if (char === '*') {
      while (chars[i] === '*') i++;
      source += '[^/]*';
      wildcards++;
    } else if (char === '?') source += '[^/]';
    else if (char === '[') {
      const found = classAt(chars, i);
      source += found.source;
      i = found.next;
    } else if (char === '\\') {
      const next = chars[i++];
      if (next === undefined) throw badPattern();
      source += literal(next);
    } else source += literal(char);
  }
  return boundedRegExp(`^${source}$`, wildcards);
}

/** Throws InvalidArgument "syntax error in pattern". */
export function matchPath(pattern: string, path: string): boolean {
  let test = compiled.get(pattern);
  if (test === undefined) {
    if (compiled.size >= MAX_COMPILED) compiled.clear();
    compiled.set(pattern, (test = compile(pattern)));
  }
  return test(path);
}

export function hasWildcards(name: string): boolean {
  return /[*?[]/.test(name.replace(/\\./gs, ''));
}
