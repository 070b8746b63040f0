/** The work of an edge that goes on: each piece once at a time, started and stopped as the plan says. */
import { canceled } from '../../base/index.ts';
import type { Work } from './plan.ts';

/** Most of what is stopped was only overtaken, and nobody reads why: one error for all saves their stacks. */
const STOPPED = canceled();

interface Task {
  readonly abort: AbortController;
  ended: Promise<void>;
}

export class Tasks {
  readonly #running = new Map<string, Task>();

  /** A piece of that kind goes on, or has not ended yet though it was told to. */
  has(kind: Work['kind']): boolean {
    return this.#running.has(kind);
  }

  /** Stops what is not planned any more, and starts what is. `start` must not fail; one that ended calls `onEnd`. */
  follow(planned: readonly Work[], start: (work: Work, signal: AbortSignal) => Promise<void>, onEnd: () => void): void {
    const named = new Map(planned.map((work) => [nameOf(work), work]));
    for (const [name, task] of this.#running) if (!named.has(name)) task.abort.abort(STOPPED);
    for (const [name, work] of named) {
      // One that is being aborted must end first; its end leads to the next plan.
      if (this.#running.has(name)) continue;
      const abort = new AbortController();
      const task: Task = { abort, ended: Promise.resolve() };
      this.#running.set(name, task);
      task.ended = start(work, abort.signal).finally(() => {
        this.#running.delete(name);
        onEnd();
      });
    }
  }

  stop(): void {
    for (const task of this.#running.values()) task.abort.abort(STOPPED);
  }

  async ended(): Promise<void> {
    await Promise.all([...this.#running.values()].map((task) => task.ended));
  }
}

function nameOf(work: Work): string {
  switch (work.kind) {
    case 'map':
      return `map ${work.index}`;
    case 'probe':
      return `probe ${work.dep ?? ''}`;
    case 'content':
      return `content ${work.dep}`;
    case 'load':
      return `load ${work.record.id}`;
    default:
      return work.kind;
  }
}
