/** A pattern's tree as instructions for a machine that follows all ways through it at once. */
import { invalidArgument } from '../errors.ts';
import type { BuildError } from '../errors.ts';
import type { Assertion, CharTest, Node, Syntax } from './syntax.ts';

export type Instruction =
  | { readonly kind: 'char'; readonly test: CharTest; readonly next: number }
  | { readonly kind: 'assert'; readonly what: Assertion; readonly next: number }
  | { readonly kind: 'save'; readonly slot: number; readonly next: number }
  /** The first way is preferred. */
  | { readonly kind: 'split'; readonly first: number; readonly second: number }
  | { readonly kind: 'jump'; readonly next: number }
  | { readonly kind: 'match' };

export interface Program {
  readonly code: readonly Instruction[];
  readonly start: number;
  /** Two for each group and for the whole. */
  readonly slots: number;
}

/** Repetitions of repetitions multiply. */
const MAX_CODE = 10_000;

const tooLarge = (): BuildError => invalidArgument('error parsing regexp: expression too large');

/** Built from the end: every instruction knows what follows it. */
class Compiler {
  readonly code: Instruction[] = [];
  #visits = 0;

  add(instruction: Instruction): number {
    if (this.code.length >= MAX_CODE) throw tooLarge();
    this.code.push(instruction);
    return this.code.length - 1;
  }

  /** Where the node begins, when `next` follows it. */
  node(node: Node, next: number): number {
    // Repetitions of nothing add no code, but take as long.
    if (++this.#visits > 4 * MAX_CODE) throw tooLarge();
    switch (node.kind) {
      case 'char':
        return this.add({ kind: 'char', test: node.test, next });
      case 'assert':
        return this.add({ kind: 'assert', what: node.what, next });
      case 'group': {
        const end = this.add({ kind: 'save', slot: 2 * node.index + 1, next });
        return this.add({ kind: 'save', slot: 2 * node.index, next: this.node(node.body, end) });
      }
      case 'sequence':
        return node.parts.reduceRight((after, part) => this.node(part, after), next);
      case 'choice': {
        const starts = node.options.map((option) => this.node(option, next));
        return starts.reduceRight((second, first) => this.add({ kind: 'split', first, second }));
      }
      case 'repeat':
        return this.#repeat(node, next);
    }
  }

  #repeat({ body, min, max, lazy }: Extract<Node, { kind: 'repeat' }>, next: number): number {
    const split = (into: number, past: number): number =>
      this.add({ kind: 'split', first: lazy ? past : into, second: lazy ? into : past });
    let start = next;
    if (max === undefined) {
      // The loop's entry is not known before its body is.
      const loop = this.add({ kind: 'jump', next });
      const into = this.node(body, loop);
      this.code[loop] = { kind: 'split', first: lazy ? next : into, second: lazy ? into : next };
      start = min > 0 ? into : loop;
    } else for (let i = min; i < max; i++) start = split(this.node(body, start), next);
    for (let i = max === undefined ? 1 : 0; i < min; i++) start = this.node(body, start);
    return start;
  }
}

/** Throws InvalidArgument when it becomes too large. */
export function compileRegexp({ root, groups }: Syntax): Program {
  const compiler = new Compiler();
  const match = compiler.add({ kind: 'match' });
  const end = compiler.add({ kind: 'save', slot: 1, next: match });
  const start = compiler.add({ kind: 'save', slot: 0, next: compiler.node(root, end) });
  return { code: compiler.code, start, slots: 2 * (groups + 1) };
}
