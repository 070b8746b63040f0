import { BuildError, Code } from '../errors.ts';
import { isWord } from './syntax.ts';
import type { Assertion } from './syntax.ts';
import type { Program } from './program.ts';

/** Start and end of the whole and of each group, as indices of UTF-16 units; -1 where a group took no part. */
export type Places = readonly number[];

/** A million steps take some 20 ms: more in one go would hold up everybody else. */
const MAX_STEPS = 1_000_000;

/** Steps that several searches may take together. */
export class StepBudget {
  #left: number;

  constructor(steps: number = MAX_STEPS) {
    this.#left = steps;
  }

  take(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new BuildError(Code.ResourceExhausted, 'pattern takes too many steps to match');
  }
}

/** Threads in order of preference, each at another instruction. */
class Threads {
  readonly at: number[] = [];
  readonly places: Places[] = [];
  readonly #seen: Uint32Array;
  #round = 0;

  constructor(size: number) {
    this.#seen = new Uint32Array(size);
  }

  clear(): void {
    this.at.length = 0;
    this.places.length = 0;
    this.#round++;
  }

  /** False when that instruction was come to before. */
  visit(instruction: number): boolean {
    if (this.#seen[instruction] === this.#round) return false;
    this.#seen[instruction] = this.#round;
    return true;
  }
}

class Search {
  readonly #program: Program;
  readonly #text: string;
  readonly #unset: Places;
  readonly #budget: StepBudget;

  constructor(program: Program, text: string, budget: StepBudget) {
    this.#budget = budget;
    this.#program = program;
    this.#text = text;
    this.#unset = Array.from<number>({ length: program.slots }).fill(-1);
  }

  run(from: number): Places | undefined {
    const { code } = this.#program;
    let current = new Threads(code.length);
    let next = new Threads(code.length);
    current.clear();
    let found: Places | undefined;
    for (let at = from; ;) {
      const char = this.#text.codePointAt(at);
      if (found === undefined) this.#follow(current, this.#program.start, this.#unset, at);
      else if (current.at.length === 0) return found;
      const after = at + (char === undefined ? 1 : char > 0xffff ? 2 : 1);
      next.clear();
      for (const [i, instruction] of current.at.entries()) {
        const step = code[instruction];
        if (step.kind === 'match') {
          // What comes later is liked less.
          found = current.places[i];
          break;
        }
        if (step.kind === 'char' && char !== undefined && step.test(char)) {
          this.#follow(next, step.next, current.places[i], after);
        }
      }
      if (char === undefined) return found;
      [current, next] = [next, current];
      at = after;
    }
  }

  /** Adds what can be reached without reading on. */
  #follow(threads: Threads, start: number, places: Places, at: number): void {
    const stack: [number, Places][] = [[start, places]];
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const [instruction, held] = top;
      if (!threads.visit(instruction)) continue;
      this.#budget.take(1);
      const step = this.#program.code[instruction];
      switch (step.kind) {
        case 'jump':
          stack.push([step.next, held]);
          break;
        case 'split':
          stack.push([step.second, held], [step.first, held]);
          break;
        case 'save':
          this.#budget.take(held.length);
          stack.push([step.next, held.with(step.slot, at)]);
          break;
        case 'assert':
          if (this.#holds(step.what, at)) stack.push([step.next, held]);
          break;
        default:
          threads.at.push(instruction);
          threads.places.push(held);
      }
    }
  }

  #holds(what: Assertion, at: number): boolean {
    const text = this.#text;
    switch (what) {
      case 'textStart':
        return at === 0;
      case 'textEnd':
        return at >= text.length;
      case 'lineStart':
        return at === 0 || text[at - 1] === '\n';
      case 'lineEnd':
        return at >= text.length || text[at] === '\n';
      default: {
        const before = at > 0 && isWord(text.charCodeAt(at - 1));
        const boundary = before !== (at < text.length && isWord(text.charCodeAt(at)));
        return boundary === (what === 'wordBoundary');
      }
    }
  }
}

/** The leftmost match from there on, of several the preferred one. Throws ResourceExhausted when the budget is used up. */
export function search(program: Program, text: string, from: number, budget: StepBudget): Places | undefined {
  return new Search(program, text, budget).run(from);
}
