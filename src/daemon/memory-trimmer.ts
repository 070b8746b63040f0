import { trimMemory } from '../host/index.ts';

/** By then the threads that a build has used have ended. */
const QUIET_MS = 7000;

/** Gives back the memory that builds have left behind, once none has ended for a while. */
export class MemoryTrimmer {
  #timer: NodeJS.Timeout | undefined;

  request(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void trimMemory(), QUIET_MS);
    this.#timer.unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
