import { invalidArgument, LinearRegexp, StepBudget, wrapError } from '../../base/index.ts';

/** What a filter looks at: the value of a field, undefined when the thing has none. */
export type FilterFields = (path: readonly string[]) => string | undefined;
export type Filter = (fields: FilterFields) => boolean;

type Operator = '==' | '!=' | '~=';

/** A filter longer than this is none. */
const MAX_LENGTH = 4096;
/** What the patterns of one request may take in all: they are matched between other clients' work. */
const MAX_STEPS = 2_000_000;

/**
 * Filters in containerd's syntax (github.com/containerd/containerd/filters): selectors `field.path`, `field==value`,
 * `field!=value`, `field~=pattern`, joined by commas, which all must hold; of several filters one must. No filters: everything.
 */
export function parseFilters(texts: readonly string[], what?: string): Filter {
  const budget = new StepBudget(MAX_STEPS);
  const filters = texts.map((text) => {
    try {
      return parseFilter(text, budget);
    } catch (error) {
      throw what === undefined ? error : wrapError(error, `failed to parse ${what} filters [${texts.join(' ')}]`);
    }
  });
  return filters.length === 0 ? () => true : (fields) => filters.some((filter) => filter(fields));
}

function parseFilter(text: string, budget: StepBudget): Filter {
  if (text.length > MAX_LENGTH) throw invalidArgument(`filter of ${text.length} characters is too long`);
  const scanner = new Scanner(text);
  const selectors: Filter[] = [];
  if (scanner.atEnd) return () => true;
  for (;;) {
    selectors.push(parseSelector(scanner, budget));
    if (scanner.atEnd) break;
    if (!scanner.take(',')) throw scanner.fail('expected a separator');
  }
  return (fields) => selectors.every((selector) => selector(fields));
}

function parseSelector(scanner: Scanner, budget: StepBudget): Filter {
  const path = [scanner.field()];
  while (scanner.take('.')) path.push(scanner.field());
  const operator = scanner.operator();
  if (operator === undefined) return (fields) => fields(path) !== undefined;
  const value = scanner.value(operator === '~=');
  switch (operator) {
    case '==':
      return (fields) => fields(path) === value;
    case '!=':
      return (fields) => fields(path) !== value;
    case '~=': {
      let pattern: LinearRegexp;
      try {
        pattern = new LinearRegexp(value);
      } catch (error) {
        throw invalidArgument(`error compiling regexp "${value}": ${(error as Error).message}: invalid argument`);
      }
      return (fields) => {
        const found = fields(path);
        return found !== undefined && pattern.test(found, budget);
      };
    }
  }
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  fail(why: string): Error {
    const read = this.#text.slice(0, this.#at);
    const shown = this.atEnd ? read : `${read} >|${this.#text.slice(this.#at)}|< `;
    return invalidArgument(`filters: parse error: [${shown}]: ${why}: invalid argument`);
  }

  take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  operator(): Operator | undefined {
    for (const operator of ['==', '!=', '~='] as const) if (this.take(operator)) return operator;
    if (!this.atEnd && /[=!~<>]/.test(this.#text.charAt(this.#at))) throw this.fail('unsupported operator');
    return undefined;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #quoted(): string {
    const found = this.#match(/"(?:[^"\\]|\\.)*"/y);
    if (found === undefined) throw this.fail('quoted literal not terminated');
    try {
      return JSON.parse(found) as string;
    } catch {
      throw this.fail('invalid quoted literal');
    }
  }

  field(): string {
    if (this.#text.charAt(this.#at) === '"') return this.#quoted();
    const name = this.#match(/[A-Za-z_][A-Za-z0-9_]*/y);
    if (name === undefined) throw this.fail('expected field or quoted');
    return name;
  }

  value(pattern: boolean): string {
    const first = this.#text.charAt(this.#at);
    if (first === '"') return this.#quoted();
    if (pattern && (first === '/' || first === '|')) {
      const end = this.#text.indexOf(first, this.#at + 1);
      if (end < 0) throw this.fail('quoted literal not terminated');
      const value = this.#text.slice(this.#at + 1, end);
      this.#at = end + 1;
      return value;
    }
    const value = this.#match(/[^,\s"]+/y);
    if (value === undefined) throw this.fail('expected value or quoted');
    return value;
  }
}
