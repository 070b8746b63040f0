import { internal } from '../base/index.ts';
import { plainDirectory } from './refs/index.ts';
import type { MountSets } from './refs/index.ts';
import type { Mountable } from './types.ts';

/** A directory that shows what was mounted, until `release`. */
export interface LocalMount {
  readonly dir: string;
  release(): Promise<void>;
}

const open = new Set<MountSets>();

/** Makes `mounts` known to {@link mountLocally}; the returned function takes it back. */
export function offerMounts(mounts: MountSets): () => void {
  open.add(mounts);
  return () => void open.delete(mounts);
}

/**
 * A directory of this process that shows `mountable`: the plain directory itself where it is one, else a mount of the open
 * storage. What the caller does not write to, it asks for `readonly`.
 */
export async function mountLocally(mountable: Mountable, options: { readonly: boolean }): Promise<LocalMount> {
  const set = await mountable.mounts(options);
  const plain = plainDirectory(set.mounts, options);
  if (plain !== undefined) return { dir: plain, release: () => set.release() };
  let shown: LocalMount;
  try {
    const mounts = [...open].at(-1);
    if (mounts === undefined) throw internal('nothing can be mounted: no storage is open');
    shown = await mounts.directory(set, options);
  } catch (error) {
    await set.release();
    throw error;
  }
  return {
    dir: shown.dir,
    release: async () => {
      try {
        await shown.release();
      } finally {
        await set.release();
      }
    },
  };
}
