import { ConnectionFault, ENHANCE_YOUR_CALM } from './faults.ts';
import { NUISANCE_BURST, NUISANCE_PER_SECOND } from './limits.ts';

/** Counts what costs a peer less than us: many at once are allowed, many all the time are not. */
export class Nuisance {
  #left = NUISANCE_BURST;
  #asOfMs = performance.now();

  /** Throws a ConnectionFault when it was one too many. */
  count(what: string): void {
    if (this.#left < 1) {
      const now = performance.now();
      const earned = ((now - this.#asOfMs) / 1000) * NUISANCE_PER_SECOND;
      if (earned < 1) throw new ConnectionFault(ENHANCE_YOUR_CALM, `too many ${what}`);
      this.#left = Math.min(NUISANCE_BURST, earned);
      this.#asOfMs = now;
    }
    this.#left--;
  }
}
