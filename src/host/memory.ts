import { libcFunction } from './libc.ts';

const trim = libcFunction('int malloc_trim(size_t pad)');

/**
 * Gives memory back that was freed: glibc keeps it otherwise, a part for each thread that ever had some. Other C libraries keep
 * less and have nothing like it, so that there is nothing to do.
 */
export function trimMemory(): Promise<void> {
  return new Promise((resolve) => {
    try {
      trim.async(0, () => resolve());
    } catch {
      resolve();
    }
  });
}
