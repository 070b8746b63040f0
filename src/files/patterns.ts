/**
 * Patterns as .dockerignore has them (moby/patternmatcher): a list in which `!` takes back what earlier ones matched, `**`
 * spans folders, and whatever is below a match matches. The last pattern that says something decides.
 */
import { posix } from 'node:path';
import { invalidArgument } from '../base/index.ts';
import { boundedRegExp } from './bounded-regexp.ts';
import { literal, matchPath } from './glob.ts';

/** Which patterns matched a folder: hand it to the questions about its entries. */
export type ParentMatch = readonly boolean[];

interface Pattern {
  readonly text: string;
  readonly exclusion: boolean;
  readonly test: (path: string) => boolean;
}

/** Paths have no leading slash and are clean. */
export class PatternMatcher {
  readonly #patterns: readonly Pattern[];
  /** Some pattern begins with `!`. */
  readonly hasExclusions: boolean;

  /** Throws InvalidArgument for a pattern that is malformed. */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.flatMap((text) => parse(text) ?? []);
    this.hasExclusions = this.#patterns.some((p) => p.exclusion);
  }

  /** The text of the patterns without their `!`. */
  texts(exclusion: boolean): readonly string[] {
    return this.#patterns.filter((p) => p.exclusion === exclusion).map((p) => p.text);
  }

  /** Does it, or a folder above it, match? */
  matches(path: string): boolean {
    const parents: string[] = [];
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) parents.push(path.slice(0, at));
    let matched = false;
    for (const pattern of this.#patterns) {
      if (pattern.exclusion !== matched) continue;
      if (pattern.test(path) || parents.some((parent) => pattern.test(parent))) matched = !pattern.exclusion;
    }
    return matched;
  }

  /** {@link matches} for walks: `parent` is what this gave for the folder; undefined at the top. */
  matchBelow(path: string, parent: ParentMatch | undefined): { matched: boolean; info: ParentMatch } {
    let matched = false;
    const info = this.#patterns.map((pattern, i) => {
      const inherited = parent?.[i] === true;
      // A pattern that could not change the answer is not asked, and counts as not matching for what is below.
      if (!inherited && pattern.exclusion !== matched) return false;
      const match = inherited || pattern.test(path);
      if (match) matched = !pattern.exclusion;
      return match;
    });
    return { matched, info };
  }
}

/** The patterns have Go's white space around them cut off; empty ones say nothing. */
function parse(raw: string): Pattern | undefined {
  let text = raw.trim();
  if (text === '') return undefined;
  text = clean(text);
  const exclusion = text.startsWith('!');
  if (exclusion) {
    if (text.length === 1) throw invalidArgument('illegal exclusion pattern: "!"');
    text = text.slice(1);
  }
  matchPath(text, '.');
  return { text, exclusion, test: compile(text) };
}

/** Go's filepath.Clean. */
function clean(text: string): string {
  const normal = posix.normalize(text);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

const SPECIAL = new Set('.+()|{}$');

/**
 * The dialect's oddities are facts that caches depend on: `**` at the end of an otherwise plain pattern is a prefix test, a
 * leading `**` with a plain rest a suffix test, anything else a regular expression in which `**` also matches nothing.
 */
function compile(text: string): (path: string) => boolean {
  const chars = Array.from(text);
  let kind: 'exact' | 'prefix' | 'suffix' | 'regexp' = 'exact';
  let source = '^';
  let at = 0;
  let inClass = false;
  let wildcards = 0;
  for (let step = 0; at < chars.length; step++) {
    const char = chars[at++] as string;
    if (char === '*') wildcards++;
    if (char === '*' && chars[at] === '*') {
      at++;
      if (chars[at] === '/') at++;
      if (at >= chars.length) {
        if (kind === 'exact') kind = 'prefix';
        else {
          source += '.*';
          kind = 'regexp';
        }
      } else {
        source += '(.*/)?';
        kind = 'regexp';
      }
      if (step === 0) kind = 'suffix';
    } else if (char === '*' || char === '?') {
      source += char === '*' ? '[^/]*' : '[^/]';
      kind = 'regexp';
    } else if (SPECIAL.has(char)) source += `\\${char}`;
    else if (char === '\\') {
      const next = chars[at++];
      if (next === undefined) source += '\\\\';
      else {
        source += inClass && next === '-' ? '\\-' : literal(next);
        kind = 'regexp';
      }
    } else if (char === '[' || char === ']') {
      kind = 'regexp';
      // A closing bracket alone is one.
      source += char === ']' && !inClass ? '\\]' : char;
      inClass = char === '[';
    } else source += char === '/' ? '\\/' : char;
  }
  if (kind === 'exact') return (path) => path === text;
  if (kind === 'prefix') {
    const prefix = text.slice(0, text.lastIndexOf('**'));
    return (path) => path.startsWith(prefix);
  }
  if (kind === 'suffix') {
    const suffix = text.slice(2);
    return (path) => path.endsWith(suffix) || (suffix.startsWith('/') && path === suffix.slice(1));
  }
  try {
    return boundedRegExp(`${source}$`, wildcards);
  } catch {
    throw invalidArgument('syntax error in pattern');
  }
}
