import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { trimMemory } from '../host/index.ts';

/** Soon, and when threads that a build has used have ended: most, and the last ones. */
const QUIET_MS = [2000, 7000, 65_000];

/** V8 frees the memory outside of its heap in a thread of its own, after it has collected. */
const FREED_MS = 250;

type Collect = (options: { readonly type: 'minor' | 'major' }) => void;

/**
 * V8 collects what is young when it makes more: an idle daemon would keep what the last builds have left, and the memory outside of
 * the heap that hangs on it, for hours. Only the young ones, a few milliseconds; the old ones are V8's to collect, a little at a
 * time, which it does within seconds after builds that made many. V8's function for it comes with a flag, which makes Node
 * refuse the compiled code in its binary when it is there from the start (10 ms of a processor).
 */
export function collector(): Collect {
  setFlagsFromString('--expose-gc');
  try {
    return runInNewContext('gc') as Collect;
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}

/** Gives back the memory that builds have left behind, once none has ended for a while. */
export class MemoryTrimmer {
  #timers: NodeJS.Timeout[] = [];
  #collect: Collect | undefined;

  request(): void {
    this.close();
    this.#timers = QUIET_MS.flatMap((ms) => [
      setTimeout(() => this.#run('minor'), ms).unref(),
      setTimeout(() => void trimMemory(), ms + FREED_MS).unref(),
    ]);
  }

  #run(type: 'minor' | 'major'): void {
    this.#collect ??= collector();
    this.#collect({ type });
  }

  /** Everything that nobody needs, at once: the daemon answers nobody meanwhile. */
  collectAll(): void {
    this.#run('major');
    void trimMemory();
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
