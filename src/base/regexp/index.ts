/**
 * Regular expressions that somebody else wrote: Go's language, in time that grows only with pattern and text, so that no
 * client can hold up the event loop. Deliberately absent: look-around and references back, which cannot be had that way.
 */
import { compileRegexp } from './program.ts';
import type { Program } from './program.ts';
import { search, StepBudget } from './run.ts';
import type { Places } from './run.ts';
import { parseRegexp } from './syntax.ts';

export { StepBudget };

export class LinearRegexp {
  readonly #program: Program;
  readonly #names: ReadonlyMap<string, number>;

  /** Throws InvalidArgument with Go's texts. */
  constructor(pattern: string) {
    const syntax = parseRegexp(pattern);
    this.#names = syntax.names;
    this.#program = compileRegexp(syntax);
  }

  /** Throws ResourceExhausted when pattern and text together are too much. */
  test(text: string, budget = new StepBudget()): boolean {
    return search(this.#program, text, 0, budget) !== undefined;
  }

  /** `template` with what the first match's groups took; undefined when there is none. */
  expand(text: string, template: string): string | undefined {
    const places = search(this.#program, text, 0, new StepBudget());
    return places === undefined ? undefined : this.#fill(template, text, places);
  }

  /** Every match replaced by the template: `$1`, `${1}`, `$name`, `${name}` are groups, `$$` is a dollar. */
  replaceAll(text: string, template: string): string {
    let out = '';
    let copied = 0;
    const budget = new StepBudget();
    for (let from = 0; from <= text.length;) {
      const places = search(this.#program, text, from, budget);
      if (places === undefined) break;
      const [start, end] = places;
      // An empty match right behind another one does not count.
      if (end > copied || start === 0) {
        out += text.slice(copied, start) + this.#fill(template, text, places);
        copied = end;
      }
      from = end > from ? end : from + ((text.codePointAt(from) ?? 0) > 0xffff ? 2 : 1);
    }
    return out + text.slice(copied);
  }

  #fill(template: string, text: string, places: Places): string {
    return template.replace(/\$(?:\$|(\w+)|\{(\w+)\})/g, (whole, plain?: string, braced?: string) => {
      const name = plain ?? braced;
      if (name === undefined) return whole === '$$' ? '$' : whole;
      const index = /^\d+$/.test(name) ? Number(name) : (this.#names.get(name) ?? -1);
      const start = places[2 * index] ?? -1;
      return index < 0 || start < 0 ? '' : text.slice(start, places[2 * index + 1]);
    });
  }
}

/** The pattern that matches this text and nothing else. */
export function quoteRegexp(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
}
