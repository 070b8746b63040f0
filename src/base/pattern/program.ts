/** A pattern as a program, and its run over a text: at each character every place that is reached, each once. */
import { isWord } from './char-tests.ts';
import type { CharTest } from './char-tests.ts';
import type { AssertKind, Node } from './parse.ts';

/** What a pattern may become when its repetitions are written out. */
const MAX_INSTRUCTIONS = 4000;

/** An instruction goes on at the next one, a split also at `also`, a jump only there. */
export type Instruction =
  | { readonly op: 'char'; readonly test: CharTest }
  | { readonly op: 'assert'; readonly what: AssertKind }
  | { readonly op: 'split'; also: number }
  | { readonly op: 'jump'; also: number }
  | { readonly op: 'match' };

class Compiler {
  readonly program: Instruction[] = [];

  add<T extends Instruction>(instruction: T): T {
    if (this.program.length >= MAX_INSTRUCTIONS) throw new SyntaxError('expression is too large');
    this.program.push(instruction);
    return instruction;
  }

  compile(node: Node): void {
    switch (node.kind) {
      case 'char':
        this.add({ op: 'char', test: node.test });
        return;
      case 'assert':
        this.add({ op: 'assert', what: node.what });
        return;
      case 'sequence':
        for (const part of node.parts) this.compile(part);
        return;
      case 'either':
        this.#either(node.parts);
        return;
      case 'repeat':
        this.#repeat(node);
    }
  }

  #either(parts: readonly Node[]): void {
    const ends: { also: number }[] = [];
    for (const [i, part] of parts.entries()) {
      const isLast = i === parts.length - 1;
      const split = isLast ? undefined : this.add({ op: 'split', also: 0 });
      this.compile(part);
      if (!isLast) ends.push(this.add({ op: 'jump', also: 0 }));
      if (split !== undefined) split.also = this.program.length;
    }
    for (const end of ends) end.also = this.program.length;
  }

  #repeat({ part, min, max }: Extract<Node, { kind: 'repeat' }>): void {
    for (let i = 0; i < min; i++) this.compile(part);
    if (max === Infinity) {
      const start = this.program.length;
      const split = this.add({ op: 'split', also: 0 });
      this.compile(part);
      this.add({ op: 'jump', also: start });
      split.also = this.program.length;
      return;
    }
    const splits: { also: number }[] = [];
    for (let i = min; i < max; i++) {
      splits.push(this.add({ op: 'split', also: 0 }));
      this.compile(part);
    }
    for (const split of splits) split.also = this.program.length;
  }
}

function holds(what: AssertKind, before: number | undefined, after: number | undefined): boolean {
  switch (what) {
    case 'textStart':
      return before === undefined;
    case 'textEnd':
      return after === undefined;
    case 'lineStart':
      return before === undefined || before === 10;
    case 'lineEnd':
      return after === undefined || after === 10;
    default: {
      const isBoundary = (before !== undefined && isWord(before)) !== (after !== undefined && isWord(after));
      return isBoundary === (what === 'word');
    }
  }
}

/** Places in the program that are reached at one point of the text, each once; the same object serves point after point. */
class Places {
  readonly #program: readonly Instruction[];
  /** By place: the point of the text, counted from 1, at which it was reached last. */
  readonly #reachedAt: Uint32Array;
  readonly #waiting: number[] = [];
  #point = 0;
  /** Those that wait for a character. */
  chars: number[] = [];
  steps = 0;
  matched = false;

  constructor(program: readonly Instruction[]) {
    this.#program = program;
    this.#reachedAt = new Uint32Array(program.length);
  }

  moveOn(): void {
    this.#point++;
    this.steps = 0;
    this.chars = [];
  }

  enter(first: number, before: number | undefined, after: number | undefined): void {
    const waiting = this.#waiting;
    waiting.push(first);
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      if (this.#reachedAt[at] === this.#point) continue;
      this.#reachedAt[at] = this.#point;
      this.steps++;
      const instruction = this.#program[at] as Instruction;
      if (instruction.op === 'char') this.chars.push(at);
      else if (instruction.op === 'match') this.matched = true;
      else if (instruction.op === 'jump') waiting.push(instruction.also);
      else if (instruction.op === 'split') waiting.push(instruction.also, at + 1);
      else if (holds(instruction.what, before, after)) waiting.push(at + 1);
    }
  }
}

/** `onSteps` hears of what each character costs, and may throw. */
export function runProgram(program: readonly Instruction[], text: string, onSteps: (steps: number) => void): boolean {
  const places = new Places(program);
  let before: number | undefined;
  let reached: number[] = [];
  for (let at = 0; ;) {
    const after = text.codePointAt(at);
    places.moveOn();
    // A match may begin anywhere.
    places.enter(0, before, after);
    for (const place of reached) places.enter(place, before, after);
    onSteps(places.steps);
    if (places.matched) return true;
    if (after === undefined) return false;
    reached = [];
    for (const place of places.chars) {
      if ((program[place] as { test: CharTest }).test(after)) reached.push(place + 1);
    }
    before = after;
    at += after > 0xffff ? 2 : 1;
  }
}

/** Throws a SyntaxError where the program becomes too large. */
export function compileProgram(pattern: Node): readonly Instruction[] {
  const compiler = new Compiler();
  compiler.compile(pattern);
  compiler.add({ op: 'match' });
  return compiler.program;
}
