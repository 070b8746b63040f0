import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { fromByteString, fsPath, toByteString } from '../../archive/index.ts';
import { serveJobs } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';
import { hasData, walkTree } from '../../files/index.ts';

export interface FileDigest {
  readonly path: string;
  /** In hexadecimal. */
  readonly sha256: string;
}

const chunk = Buffer.allocUnsafeSlow(1 << 20);

function digestOf(path: Buffer | string, check: () => void): string {
  const hash = createHash('sha256');
  const fd = openSync(path, 'r');
  try {
    for (let read = readSync(fd, chunk); read > 0; read = readSync(fd, chunk)) {
      check();
      hash.update(chunk.subarray(0, read));
    }
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex');
}

/** Every regular file below `dir`, in the order of a listing. */
function digestFiles({ dir }: { dir: string }, { check }: JobContext): FileDigest[] {
  const found: FileDigest[] = [];
  for (const { stat } of walkTree(dir, { xattrs: false })) {
    check();
    if (!hasData(stat.mode)) continue;
    const sha256 = digestOf(fsPath(`${toByteString(dir)}/${stat.path}`), check);
    found.push({ path: fromByteString(stat.path), sha256 });
  }
  return found;
}

serveJobs({ digestFiles });
