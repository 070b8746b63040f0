import { createReadStream } from 'node:fs';
import { posix } from 'node:path';
import { decompress, fromByteString, TarReader } from '../../archive/index.ts';
import { serveJobs } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';

export interface LayerSearch {
  /** The layer's blob. */
  readonly path: string;
  /** Absolute. */
  readonly wanted: readonly string[];
  /** Layers of Windows images have their files in the folder `Files`. */
  readonly windows: boolean;
}

/** Absolute, of an entry's name. */
function pathOf(name: string, windows: boolean): string {
  const path = posix.join('/', name.replace(/\/+$/, ''));
  return windows && path.startsWith('/Files/') ? path.slice('/Files'.length) : path;
}

/** Which of the wanted paths the layer brings; what it deletes does not count. */
async function findInLayer({ path, wanted, windows }: LayerSearch, { check }: JobContext): Promise<string[]> {
  const missing = new Set(wanted);
  const found: string[] = [];
  const reader = new TarReader({
    entry(header) {
      const name = pathOf(fromByteString(header.name), windows);
      if (!posix.basename(name).startsWith('.wh.') && missing.delete(name)) found.push(name);
    },
    data() {},
    entryEnd() {},
  });
  for await (const chunk of decompress(createReadStream(path, { highWaterMark: 1 << 20 }))) {
    check();
    reader.write(chunk);
    if (missing.size === 0 || reader.ended) break;
  }
  return found;
}

serveJobs({ findInLayer });
