/** Values that related jobs compute once. */
import { abortable, canceled, toBuildError } from '../base/index.ts';

export type OnceValues = Map<string, Promise<unknown>>;

/** `holders` are the jobs that share the work now: the value of any of them serves, a new one is left with all. */
export async function onceFor<T>(
  holders: () => Iterable<{ readonly onceValues: OnceValues }>,
  key: string,
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    if (signal.aborted) throw canceled();
    const maps = [...holders()].map((h) => h.onceValues);
    const known = maps.find((m) => m.has(key))?.get(key) as Promise<T> | undefined;
    if (known === undefined) {
      const made = work();
      for (const m of maps) m.set(key, made);
      const forget = (): void => {
        for (const m of maps) if (m.get(key) === made) m.delete(key);
      };
      made.catch(forget);
      return made;
    }
    try {
      return await abortable(known, signal);
    } catch (error) {
      // Who computed it was cancelled; we were not.
      if (!toBuildError(error).isCanceled || signal.aborted) throw error;
      for (const m of maps) if (m.get(key) === known) m.delete(key);
    }
  }
}
