/** `--name=value` in front of an instruction's arguments. */
import { cut } from '../go-text.ts';
import { textError } from '../located-error.ts';
import { withSuggestion } from '../suggest.ts';

export type FlagKind = 'bool' | 'string' | 'list';

export class Flags {
  readonly #values = new Map<string, string[]>();

  /** Throws for a flag that is unknown, doubled or without its value. */
  constructor(words: readonly string[], kinds: Readonly<Record<string, FlagKind>> = {}) {
    for (const word of words) {
      const [flag, value, hasValue] = cut(word, '=');
      const name = flag.slice(2);
      if (!Object.hasOwn(kinds, name)) {
        throw withSuggestion(textError(`unknown flag: ${flag}`), name, Object.keys(kinds), true);
      }
      const kind = kinds[name];
      const had = this.#values.get(name);
      if (had !== undefined && kind !== 'list') throw textError(`duplicate flag specified: ${flag}`);
      if (kind === 'bool' ? hasValue && value === '' : !hasValue) {
        throw textError(`missing a value on flag: ${flag}`);
      }
      if (kind === 'bool' && !['true', 'false', ''].includes(value.toLowerCase())) {
        throw textError(`expecting boolean value for flag ${flag}, not: ${value}`);
      }
      if (had === undefined) this.#values.set(name, [value]);
      else had.push(value);
    }
  }

  string(name: string): string {
    return this.#values.get(name)?.[0] ?? '';
  }

  /** Undefined when the flag is not there. */
  bool(name: string): boolean | undefined {
    const value = this.#values.get(name)?.[0];
    return value === undefined ? undefined : value.toLowerCase() !== 'false';
  }

  list(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }
}
