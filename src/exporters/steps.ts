import { nowNs } from '../base/index.ts';
import type { StepProgress } from '../base/index.ts';

/** A line that counts bytes: `count` as often as one likes, shown ten times a second. */
export async function countingLine<T>(
  progress: StepProgress,
  id: string,
  work: (count: (bytes: number) => void) => Promise<T>,
): Promise<T> {
  const started = nowNs();
  let shownAt = 0n;
  let current = 0;
  progress.status({ id, name: 'transferring', started });
  const count = (bytes: number): void => {
    current = bytes;
    const now = nowNs();
    if (now - shownAt < 100_000_000n) return;
    shownAt = now;
    progress.status({ id, name: 'transferring', current, started });
  };
  try {
    return await work(count);
  } finally {
    progress.status({ id, name: 'transferring', current, started, completed: nowNs() });
  }
}
