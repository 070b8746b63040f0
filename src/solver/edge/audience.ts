/** All who wait for one edge. */
import { Level } from './edge-state.ts';
import type { Waiter } from './shared-edge.ts';

export class Audience {
  readonly #waiters = new Set<Waiter>();
  readonly #wanted = [0, 0, 0, 0];

  add(waiter: Waiter): void {
    this.#waiters.add(waiter);
    this.#wanted[waiter.level]++;
  }

  /** True when nobody is left who wants that much. */
  remove(waiter: Waiter): boolean {
    return this.#waiters.delete(waiter) && --this.#wanted[waiter.level] === 0;
  }

  /** The most that any of them wants. */
  get want(): Level {
    return [Level.COMPLETE, Level.SLOW, Level.FAST].find((level) => this.#wanted[level] > 0) ?? Level.NONE;
  }

  wake(): void {
    for (const waiter of Array.from(this.#waiters)) waiter.wake();
  }

  /** Lets all go. */
  dismiss(): Waiter[] {
    const all = [...this.#waiters];
    this.#waiters.clear();
    this.#wanted.fill(0);
    return all;
  }
}
