import { fromByteString } from '../archive/index.ts';
import type { ByteString } from '../archive/index.ts';
import { invalidArgument } from '../base/index.ts';
import { PatternMatcher } from './patterns.ts';
import type { ParentMatch } from './patterns.ts';

export interface Verdict {
  readonly emit: boolean;
  /** false: nothing below it can be emitted. */
  readonly descend: boolean;
  readonly include: ParentMatch | undefined;
  readonly exclude: ParentMatch | undefined;
}

interface Side {
  readonly matcher: PatternMatcher;
  /** Patterns that could let something in, as plain folder prefixes; undefined when one of them has wildcards in its middle. */
  readonly prefixes: readonly string[] | undefined;
}

const PATTERN_CHARACTERS = /[*[\]?^\\]/;

function withoutTrailingGlob(pattern: string): string {
  return pattern.replace(/\/\*\*?$/, '');
}

function makeSide(kind: string, patterns: readonly string[], exclusion: boolean): Side | undefined {
  if (patterns.length === 0) return undefined;
  let matcher: PatternMatcher;
  try {
    matcher = new PatternMatcher(patterns);
  } catch (error) {
    throw invalidArgument(`invalid ${kind}: [${patterns.join(' ')}]: ${(error as Error).message}`, { cause: error });
  }
  const plain = matcher.texts(exclusion).map(withoutTrailingGlob);
  return { matcher, prefixes: plain.some((p) => PATTERN_CHARACTERS.test(p)) ? undefined : plain.map((p) => `${p}/`) };
}

/** Could one of the side's letting-in patterns match below the folder? */
function mayMatchBelow(side: Side, path: string): boolean {
  return side.prefixes === undefined || side.prefixes.some((p) => p.startsWith(`${path}/`));
}

/** Include and exclude patterns together: what is emitted matches the first list (if any) and not the second. */
export class TreeFilter {
  readonly #include: Side | undefined;
  readonly #exclude: Side | undefined;

  private constructor(include: Side | undefined, exclude: Side | undefined) {
    this.#include = include;
    this.#exclude = exclude;
  }

  /** undefined when there is nothing to filter by. */
  static of(options: {
    readonly includePatterns?: readonly string[];
    readonly excludePatterns?: readonly string[];
  }): TreeFilter | undefined {
    const include = makeSide('includepatterns', options.includePatterns ?? [], false);
    const exclude = makeSide('excludepatterns', options.excludePatterns ?? [], true);
    return include === undefined && exclude === undefined ? undefined : new TreeFilter(include, exclude);
  }

  judge(path: ByteString, parent: Verdict | undefined): Verdict {
    const text = fromByteString(path);
    let emit = true;
    let descend = true;
    let include: ParentMatch | undefined;
    let exclude: ParentMatch | undefined;
    if (this.#include !== undefined) {
      const { matched, info } = this.#include.matcher.matchBelow(text, parent?.include);
      include = info;
      if (!matched) {
        emit = false;
        descend = mayMatchBelow(this.#include, text);
      }
    }
    if (descend && this.#exclude !== undefined) {
      const { matched, info } = this.#exclude.matcher.matchBelow(text, parent?.exclude);
      exclude = info;
      if (matched) {
        emit = false;
        descend = mayMatchBelow(this.#exclude, text);
      }
    }
    return { emit, descend, include, exclude };
  }
}
