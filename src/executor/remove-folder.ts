import { readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Removes a folder of few files; none there is no error. Each level's entries go at once: what Node has for it either stops the
 * event loop, for tens of milliseconds on a busy disk, or asks one thing after another.
 */
export async function removeFolder(path: string): Promise<void> {
  let entries;
  try {
    entries = await readdir(path, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  await Promise.all(
    entries.map((entry) => {
      const at = join(path, entry.name);
      return entry.isDirectory() ? removeFolder(at) : unlink(at);
    }),
  );
  await rmdir(path);
}
