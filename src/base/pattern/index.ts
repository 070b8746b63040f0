/**
 * Regular expressions of Go's syntax for patterns that clients send: what a match costs is the pattern's length times the
 * text's, whatever they say, where JavaScript's own may try for ever. In comes a pattern, out goes whether there is a match.
 * Deliberately absent: where it is, captures, replacing.
 */
import { BuildError, Code } from '../errors.ts';
import { parsePattern } from './parse.ts';
import { compileProgram, runProgram } from './program.ts';

/** Steps that several matches may take together; a million of them take some 20 ms. */
export class StepBudget {
  #left: number;

  constructor(steps: number) {
    this.#left = steps;
  }

  take(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new BuildError(Code.ResourceExhausted, 'pattern takes too many steps to match');
  }
}

export interface LinearPattern {
  /** Whether some part of the text matches. Throws ResourceExhausted when `budget` is used up. */
  test(text: string, budget: StepBudget): boolean;
}

/** Throws a SyntaxError that says what is wrong, or that the pattern is too large. */
export function linearPattern(text: string): LinearPattern {
  const program = compileProgram(parsePattern(text));
  return { test: (subject, budget) => runProgram(program, subject, (steps) => budget.take(steps)) };
}
