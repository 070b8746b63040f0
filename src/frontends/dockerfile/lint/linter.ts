/** Which rules speak, where their warnings go, and whether they fail the build in the end. */
import { cut, parseBool, trimSpace } from '../go-text.ts';
import { prefixError, textError } from '../located-error.ts';
import type { LineRange } from '../located-error.ts';
import { DirectiveReader } from '../parse/index.ts';
import type { Rule } from './rules.ts';

export interface LintWarning {
  readonly rule: string;
  readonly description: string;
  readonly url: string;
  readonly message: string;
  readonly location: readonly LineRange[];
}

export type Warn = (warning: LintWarning) => void;

export interface LintConfig {
  readonly skip: ReadonlySet<string> | 'all';
  readonly experimental: ReadonlySet<string> | 'all';
  readonly error: boolean;
}

export const DEFAULT_LINT: LintConfig = { skip: new Set(), experimental: new Set(), error: false };

function ruleSet(value: string): ReadonlySet<string> | 'all' {
  return trimSpace(value) === 'all' ? 'all' : new Set(value.split(',').map(trimSpace));
}

function splitThree(text: string): string[] {
  const [first, rest, more] = cut(text, ';');
  if (!more) return [first];
  const [second, third, last] = cut(rest, ';');
  return last ? [first, second, third] : [first, second];
}

/** The text of `# check=` or of BUILDKIT_DOCKERFILE_CHECK. */
export function parseLintConfig(text: string): LintConfig {
  let { skip, experimental, error } = DEFAULT_LINT;
  if (trimSpace(text) === '') return DEFAULT_LINT;
  for (const part of splitThree(trimSpace(text))) {
    const [written, value, found] = cut(part, '=');
    const key = trimSpace(written);
    if (!found) throw textError(`invalid check option "${part}"`);
    if (key === 'skip') skip = ruleSet(value);
    else if (key === 'experimental') experimental = ruleSet(value);
    else if (key === 'error') {
      const flag = parseBool(trimSpace(value));
      if (flag === undefined) {
        const inner = textError(`strconv.ParseBool: parsing "${trimSpace(value)}": invalid syntax`);
        throw prefixError(inner, `failed to parse check option "${part}"`);
      }
      error = flag;
    } else throw textError(`invalid check option "${key}"`);
  }
  return { skip, experimental, error };
}

function union(a: ReadonlySet<string> | 'all', b: ReadonlySet<string> | 'all'): ReadonlySet<string> | 'all' {
  return a === 'all' || b === 'all' ? 'all' : new Set([...a, ...b]);
}

export class Linter {
  readonly #config: LintConfig;
  readonly #warn: Warn | undefined;
  readonly #called: Set<string>;

  constructor(config: LintConfig, warn: Warn | undefined, called = new Set<string>()) {
    this.#config = config;
    this.#warn = warn;
    this.#called = called;
  }

  run<A extends readonly string[]>(rule: Rule<A>, location: readonly LineRange[], ...args: A): void {
    if (this.#warn === undefined) return;
    const { skip, experimental } = this.#config;
    const named = (set: ReadonlySet<string> | 'all'): boolean => set === 'all' || set.has(rule.name);
    if (rule.experimental ? !named(experimental) : named(skip)) return;
    this.#called.add(rule.name);
    const { name, description, url } = rule;
    this.#warn({ rule: name, description, url, message: rule.format(...args), location });
  }

  /** The rules for one instruction: a `# check=` in the comments above adds to what is skipped. */
  withComments(comments: readonly string[]): Linter {
    for (const comment of comments) {
      const directive = new DirectiveReader('').read(comment);
      if (directive?.name !== 'check') continue;
      let extra: LintConfig;
      try {
        extra = parseLintConfig(cut(directive.value, ' ')[0]);
      } catch {
        return this;
      }
      const merged = {
        skip: union(this.#config.skip, extra.skip),
        experimental: union(this.#config.experimental, extra.experimental),
        error: this.#config.error,
      };
      return new Linter(merged, this.#warn, this.#called);
    }
    return this;
  }

  /** Throws when warnings are errors and there were some. */
  check(): void {
    if (!this.#config.error || this.#called.size === 0) return;
    throw textError(`lint violation found for rules: ${[...this.#called].join(', ')}`);
  }
}
