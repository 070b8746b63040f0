/** Records of builds that were answered already: nobody waits for them, so builds that run go first. */
import { Mutex } from '../../base/index.ts';

/** From the last build's end: its client has its answer first. */
const PAUSE_MS = 5;
/** While other builds run. */
const LATEST_MS = 500;
/** What more of them would hold is memory that clients size: the oldest is written first. */
const MAX_WAITING = 64;

/** Never rejects. */
export type WriteRecord = () => Promise<void>;

export class UnwrittenRecords {
  readonly #isBusy: () => boolean;
  readonly #waiting = new Map<string, { readonly write: WriteRecord; readonly latest: NodeJS.Timeout }>();
  readonly #turn = new Mutex();
  #pause: NodeJS.Timeout | undefined;

  /** `isBusy`: builds run, which go first. */
  constructor(isBusy: () => boolean) {
    this.#isBusy = isBusy;
  }

  /** `ref` has no other that waits. */
  async add(ref: string, write: WriteRecord): Promise<void> {
    const latest = setTimeout(() => void this.settle(ref), LATEST_MS).unref();
    this.#waiting.set(ref, { write, latest });
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > MAX_WAITING && oldest !== undefined) await this.settle(oldest);
    this.idle();
  }

  /** A build ended. */
  idle(): void {
    if (this.#waiting.size === 0 || this.#pause !== undefined || this.#isBusy()) return;
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      void this.#writeWhileIdle();
    }, PAUSE_MS).unref();
  }

  async #writeWhileIdle(): Promise<void> {
    for (const ref of this.#waiting.keys()) {
      if (this.#isBusy()) return;
      await this.settle(ref);
    }
  }

  /** Resolves when the record of `ref`, or each of those that wait now, is written. */
  async settle(ref?: string): Promise<void> {
    const due = [...this.#waiting.keys()].filter((one) => ref === undefined || one === ref);
    // Nor does it wait for what is written for others.
    if (due.length === 0) return;
    await this.#turn.run(async () => {
      for (const one of due) {
        const found = this.#waiting.get(one);
        if (found === undefined) continue;
        clearTimeout(found.latest);
        await found.write();
        this.#waiting.delete(one);
      }
    });
  }
}
