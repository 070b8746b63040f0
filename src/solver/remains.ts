/** What a vertex that failed leaves for whoever wants to look into it. */
import type { Result } from './types.ts';

export interface RemainsContent {
  /** What it was given; undefined where there was nothing. */
  readonly inputs: readonly (Result | undefined)[];
  /** What it had made when it failed; the numbers are the op's own. */
  readonly made: readonly (Result | undefined)[];
  /** Which part of its work it was: an action of the op, or the content key of an input. */
  readonly subject?: { readonly kind: 'file' | 'cache'; readonly index: number };
}

/** The attachment of the error. The vertex owns it until its last job goes: who needs a result longer forks it before. */
export class Remains implements RemainsContent {
  readonly inputs: readonly (Result | undefined)[];
  readonly made: readonly (Result | undefined)[];
  readonly subject: RemainsContent['subject'];
  #released = false;

  constructor(content: RemainsContent) {
    this.inputs = content.inputs;
    this.made = content.made;
    this.subject = content.subject;
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await Promise.all([...this.inputs, ...this.made].map(async (result) => result?.release()));
  }
}
