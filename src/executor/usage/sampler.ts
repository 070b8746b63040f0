/**
 * Samples of something that goes on for seconds or hours, always about equally many: each time that there are too many,
 * every second one goes and the next ones come half as often.
 */
import { nowNs } from '../../base/index.ts';
import type { TimeNs } from '../../base/index.ts';

export interface Sampling<T> {
  /** Ends it, with one last sample; the same ones again when it is called again. */
  stop(): readonly T[];
}

const FIRST_MS = 2000;

export class Sampler<T> implements Sampling<T> {
  readonly #take: (time: TimeNs) => T | undefined;
  readonly #limit: number;
  #samples: T[] = [];
  #interval: number;
  #timer: NodeJS.Timeout | undefined;

  /** `take` gives undefined for what cannot be told; what it throws ends the sampling. */
  constructor(take: (time: TimeNs) => T | undefined, limit: number, firstMs = FIRST_MS) {
    this.#take = take;
    this.#limit = limit;
    this.#interval = firstMs;
    this.#wait();
  }

  #wait(): void {
    this.#timer = setTimeout(() => {
      try {
        this.#add();
      } catch {
        this.#timer = undefined;
        return;
      }
      if (this.#samples.length > this.#limit) {
        this.#samples = this.#samples.filter((_, i) => i % 2 === 0);
        this.#interval *= 2;
      }
      this.#wait();
    }, this.#interval).unref();
  }

  #add(): void {
    const sample = this.#take(nowNs());
    if (sample !== undefined) this.#samples.push(sample);
  }

  stop(): readonly T[] {
    if (this.#timer === undefined) return this.#samples;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      this.#add();
    } catch {
      // the group is gone: what there is must do
    }
    return this.#samples;
  }
}
