import { canceled, sleep } from '../../base/index.ts';
import { lockFile } from '../../host/index.ts';

const PAUSE_MS = 50;
const LIMIT_MS = 120_000;

/**
 * Runs `work` alone among all daemons that are told the same file in BUILDKIT_CNI_INIT_LOCK_PATH: for bridges and rules of
 * the firewall that several make at the same time. Without one it just runs.
 */
export async function withInitLock<T>(path: string | undefined, work: () => Promise<T>): Promise<T> {
  if (path === undefined || path === '') return await work();
  const until = Date.now() + LIMIT_MS;
  for (;;) {
    try {
      const lock = lockFile(path);
      try {
        return await work();
      } finally {
        lock.release();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EWOULDBLOCK') throw error;
      if (Date.now() > until) throw canceled(`${path} is locked by another process`);
    }
    await sleep(PAUSE_MS);
  }
}
