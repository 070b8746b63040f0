/**
 * Where everything that takes time in a simulated world waits for its turn. Nothing goes on by itself: the director lets
 * one wait end, all that follows from it happens, then the next.
 */
import { throwIfAborted } from '../../base/index.ts';
import type { Chance } from './chance.ts';

interface Wait {
  readonly what: string;
  go(): void;
}

export class Stage {
  readonly #chance: Chance;
  readonly #waiting: Wait[] = [];
  /** What happened, in order: the story of a seed that failed. */
  readonly story: string[] = [];
  /** Nothing waits any more: the end of a run is quiet. */
  isOpen = true;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  tell(line: string): void {
    this.story.push(line);
  }

  /** Resolves when its turn has come. Most who wait notice at once that they are not wanted any more, some only then, some never. */
  async wait(what: string, signal?: AbortSignal): Promise<void> {
    if (!this.isOpen) {
      this.tell(`${what}, at once`);
      return;
    }
    const temper = this.#chance.below(4);
    await new Promise<void>((resolve) => {
      const wait: Wait = {
        what,
        go: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      const onAbort = (): void => {
        const at = this.#waiting.indexOf(wait);
        if (at < 0) return;
        this.#waiting.splice(at, 1);
        wait.go();
      };
      this.#waiting.push(wait);
      if (temper < 2) {
        if (signal?.aborted) onAbort();
        else signal?.addEventListener('abort', onAbort, { once: true });
      }
    });
    if (temper < 3) throwIfAborted(signal);
  }

  /** Lets one of those who wait go on. False: there are none. */
  next(): boolean {
    if (this.#waiting.length === 0) return false;
    const [wait] = this.#waiting.splice(this.#chance.below(this.#waiting.length), 1);
    this.tell(wait.what);
    wait.go();
    return true;
  }

  /** Until all that follows from the last turn has happened. */
  async settle(rounds = 2): Promise<void> {
    for (let i = 0; i < rounds; i++) await new Promise((resolve) => setImmediate(resolve));
  }
}
