import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountLocally } from '../storage/index.ts';
import type { ImmutableRef, LocalMount } from '../storage/index.ts';

/** A directory to read the ref in; scratch (undefined) is an empty one. */
export async function mountRef(ref: ImmutableRef | undefined): Promise<LocalMount> {
  if (ref !== undefined) return await mountLocally(ref, { readonly: true });
  const dir = mkdtempSync(join(tmpdir(), 'buildkit-scratch-'));
  return {
    dir,
    release: async () => {
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
