import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { invalidArgument, randomId } from '../base/index.ts';
import type { Digest } from '../oci/types.ts';

const DIGEST = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Makes what was renamed into `directory` survive a power loss. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Files `<root>/blobs/<algorithm>/<hex>`, and `<root>/ingest/` for those being written: the same file system, so that a
 * rename makes a blob visible at once and whole.
 */
export class BlobFiles {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
    mkdirSync(join(root, 'blobs/sha256'), { recursive: true });
  }

  /** Throws InvalidArgument for what is no digest: it would become a path. */
  path(digest: string): string {
    if (!DIGEST.test(digest)) throw invalidArgument(`invalid digest ${JSON.stringify(digest.slice(0, 200))}`);
    const [algorithm, hex] = digest.split(':');
    return join(this.root, 'blobs', algorithm as string, hex as string);
  }

  temporaryPath(): string {
    const folder = join(this.root, 'ingest');
    mkdirSync(folder, { recursive: true });
    return join(folder, randomId());
  }

  /** `path` becomes the blob, with its data (`syncData`) and its name (`syncName`) on the disk when this returns. */
  async install(path: string, digest: Digest, options: { syncData: boolean; syncName: boolean }): Promise<void> {
    if (options.syncData) {
      const handle = await open(path, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
    const target = this.path(digest);
    mkdirSync(join(target, '..'), { recursive: true });
    await rename(path, target);
    if (options.syncName) await syncDirectory(join(target, '..'));
  }

  async remove(digest: Digest): Promise<void> {
    await rm(this.path(digest), { force: true });
  }

  /** Size of the blob's file, undefined when there is none. */
  find(digest: Digest): { size: number; createdMs: number } | undefined {
    const stat = statSync(this.path(digest), { throwIfNoEntry: false });
    return stat?.isFile() === true ? { size: stat.size, createdMs: stat.mtimeMs } : undefined;
  }

  /** Everything with a digest's name, and what has none of that (to be removed by whoever owns the folder). */
  scan(): { blobs: Map<Digest, number>; strangers: string[] } {
    const blobs = new Map<Digest, number>();
    const strangers: string[] = [];
    for (const algorithm of readdirSync(join(this.root, 'blobs'))) {
      const folder = join(this.root, 'blobs', algorithm);
      if (!statSync(folder).isDirectory()) {
        strangers.push(folder);
        continue;
      }
      for (const hex of readdirSync(folder)) {
        const path = join(folder, hex);
        const digest = `${algorithm}:${hex}`;
        const stat = statSync(path, { throwIfNoEntry: false });
        if (stat === undefined) continue;
        if (DIGEST.test(digest) && stat.isFile()) blobs.set(digest as Digest, stat.size);
        else strangers.push(path);
      }
    }
    return { blobs, strangers };
  }

  removeIngests(): void {
    rmSync(join(this.root, 'ingest'), { recursive: true, force: true });
  }
}
