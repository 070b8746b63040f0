/**
 * Runs small pieces of graph work in turn, first come first served, and lets the event loop breathe between slices, so
 * that no build's graph, however large, holds up another client.
 */
const SLICE_MS = 4;

export class RunQueue {
  readonly #now: () => number;
  #ready: (() => void)[] = [];
  #sliceStart: number | undefined;
  #scheduled = false;

  /** `now` in milliseconds, of a steady clock. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  push(work: () => void): void {
    this.#ready.push(work);
    this.#schedule();
  }

  /** Resolves at once while the slice has time left, else after the event loop had its turn. For loops over a graph. */
  async breathe(): Promise<void> {
    if (this.#isSpent()) await new Promise((resolve) => setImmediate(resolve));
  }

  #isSpent(): boolean {
    const now = this.#now();
    if (this.#sliceStart === undefined) {
      this.#sliceStart = now;
      // Microtasks run before this: everything until then counts as one slice.
      setImmediate(() => (this.#sliceStart = undefined));
      return false;
    }
    return now - this.#sliceStart > SLICE_MS;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (this.#isSpent()) setImmediate(() => this.#run());
    else queueMicrotask(() => this.#run());
  }

  #run(): void {
    this.#scheduled = false;
    let at = 0;
    const batch = this.#ready;
    this.#ready = [];
    while (at < batch.length) {
      if ((at & 15) === 15 && this.#isSpent()) break;
      batch[at++]();
    }
    if (at < batch.length) this.#ready = [...batch.slice(at), ...this.#ready];
    if (this.#ready.length > 0) this.#schedule();
  }
}
