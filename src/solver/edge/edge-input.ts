/** An edge's hold on one of its inputs: how much of it is asked for, and what it has told. */
import type { CachedResult } from '../types.ts';
import { Level } from './edge-state.ts';
import type { DepState } from './edge-state.ts';
import type { SharedEdge, Waiter } from './shared-edge.ts';

export interface InputOwner {
  schedule(): void;
  inputMoved(index: number): void;
}

export class EdgeInput implements Waiter {
  level: Level = Level.NONE;
  target: SharedEdge;
  readonly #owner: InputOwner;
  readonly #index: number;

  constructor(owner: InputOwner, index: number, target: SharedEdge) {
    this.#owner = owner;
    this.#index = index;
    this.target = target;
  }

  ask(level: Level): void {
    if (level === this.level) return;
    this.target.unwait(this);
    this.level = level;
    if (level !== Level.NONE) this.target.wait(this);
  }

  wake(): void {
    this.#owner.schedule();
  }

  moved(to: SharedEdge): void {
    this.target = to;
    this.#owner.inputMoved(this.#index);
    this.#owner.schedule();
  }

  /** Takes in what it has told by now; of its keys only where they are of use. */
  look(dep: DepState, useKeys: boolean): void {
    // Only those who wait are told of a merge.
    if (this.target.mergedInto !== undefined) this.moved(this.target.current);
    const { phase, level, keys } = this.target.state;
    dep.error = phase.kind === 'failed' ? phase.error : undefined;
    dep.level = phase.kind === 'done' ? Level.COMPLETE : level;
    dep.isFresh = phase.kind === 'done' && phase.result.record === undefined;
    if (useKeys && dep.level >= Level.FAST) dep.keys = keys.length;
  }

  /** Undefined while it is not complete. Stays the input's. */
  get result(): CachedResult | undefined {
    const { phase } = this.target.state;
    return phase.kind === 'done' ? phase.result : undefined;
  }
}
