import { lstatSync, readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { randomId, serveJobs } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';
import type { SnapshotUsage } from './types.ts';

/** Deletions between two rests. */
const BATCH = 1000;
const REST_MS = 5;
/** Below Linux' PATH_MAX of 4096 with room for a name of 255. */
const LONGEST = 3600;

const restCell = new Int32Array(new SharedArrayBuffer(4));

/** Bytes allocated, as `du` counts; a file with several names counts once. */
function usage({ directories }: { directories: readonly string[] }, context: JobContext): SnapshotUsage {
  const seen = new Set<string>();
  let size = 0;
  let inodes = 0;
  const visit = (path: string): void => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return; // written to while we look
    if (stat.nlink > 1 && !stat.isDirectory()) {
      const key = `${stat.dev}:${stat.ino}`;
      if (seen.has(key)) return;
      seen.add(key);
    }
    size += stat.blocks * 512;
    inodes++;
    if (!stat.isDirectory() || path.length > LONGEST) return;
    context.check();
    let names: string[];
    try {
      names = readdirSync(path);
    } catch {
      return;
    }
    for (const name of names) visit(join(path, name));
  };
  for (const directory of directories) visit(directory);
  return { size, inodes };
}

/** Deletes what is in `directory`, and what is moved into it meanwhile. Trees of any depth: what is too deep is moved up first. */
function empty({ directory }: { directory: string }): void {
  let count = 0;
  const step = (): void => {
    if (++count % BATCH === 0) Atomics.wait(restCell, 0, 0, REST_MS);
  };
  const remove = (path: string, isDirectory: boolean): void => {
    step();
    if (!isDirectory) {
      unlinkSync(path);
      return;
    }
    if (path.length > LONGEST) {
      renameSync(path, join(directory, randomId()));
      return;
    }
    for (const entry of readdirSync(path, { withFileTypes: true })) remove(join(path, entry.name), entry.isDirectory());
    rmdirSync(path);
  };
  for (;;) {
    const entries = readdirSync(directory, { withFileTypes: true });
    if (entries.length === 0) return;
    for (const entry of entries) remove(join(directory, entry.name), entry.isDirectory());
  }
}

serveJobs({ usage, empty });
