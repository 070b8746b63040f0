/** One piece of a vertex' work, whoever asks for it: runs once at a time, its outcome is kept, its abort is counted. */
import { abortable, canceled, throwIfAborted } from '../base/index.ts';

/** Nobody is there to read it: one for all. */
const ALL_LEFT = canceled();

type Outcome<T> =
  | { readonly kind: 'none' }
  | { readonly kind: 'running'; readonly settled: Promise<void>; readonly abort: AbortController; waiters: number }
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown };

export class SharedStep<T> {
  #outcome: Outcome<T> = { kind: 'none' };
  #closed = false;
  readonly #discard: (value: T) => Promise<void>;

  /** `discard` gets the kept value when the step is closed. */
  constructor(discard: (value: T) => Promise<void> = async () => {}) {
    this.#discard = discard;
  }

  /**
   * Joins the run in progress or starts `work`. The run is aborted when all who wait have left; what it makes in spite of
   * that is kept. Errors are kept until {@link forgetError}, except those of an aborted run.
   */
  async get(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    for (;;) {
      throwIfAborted(signal);
      if (this.#closed) throw canceled();
      const outcome = this.#outcome;
      switch (outcome.kind) {
        case 'done':
          return outcome.value;
        case 'failed':
          throw outcome.error;
        case 'none':
          this.#start(work);
          break;
        case 'running':
          if (!outcome.abort.signal.aborted) outcome.waiters++;
          try {
            await abortable(outcome.settled, signal);
          } finally {
            this.#leave(outcome);
          }
      }
    }
  }

  #leave(outcome: Outcome<T> & { kind: 'running' }): void {
    if (outcome.abort.signal.aborted) return;
    if (--outcome.waiters === 0 && this.#outcome === outcome) outcome.abort.abort(ALL_LEFT);
  }

  #start(work: (signal: AbortSignal) => Promise<T>): void {
    const abort = new AbortController();
    const settled = (async () => {
      let outcome: Outcome<T>;
      await Promise.resolve(); // nothing ends before `running` is noted below
      try {
        outcome = { kind: 'done', value: await work(abort.signal) };
      } catch (error) {
        outcome = abort.signal.aborted ? { kind: 'none' } : { kind: 'failed', error };
      }
      this.#outcome = outcome;
      if (this.#closed && outcome.kind === 'done') await this.#discard(outcome.value);
    })();
    this.#outcome = { kind: 'running', settled, abort, waiters: 0 };
  }

  /** What was made, once it is. */
  get value(): T | undefined {
    return this.#outcome.kind === 'done' ? this.#outcome.value : undefined;
  }

  forgetError(): void {
    if (this.#outcome.kind === 'failed') this.#outcome = { kind: 'none' };
  }

  /** Aborts a run and waits for its end, then gives the value to `discard`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const outcome = this.#outcome;
    if (outcome.kind === 'running') {
      outcome.abort.abort(canceled());
      await outcome.settled;
    } else if (outcome.kind === 'done') {
      await this.#discard(outcome.value);
    }
  }
}
