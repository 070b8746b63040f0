import type { TreeChange } from '../../files/types.ts';
import type { ContentHasher, ImmutableRef, Mount } from '../types.ts';

export interface TreeHasherOptions {
  /** Where digests are kept, a file for each record id; made when missing. */
  readonly directory: string;
  /** The id that digests are kept under: that of the mutable twin where there is one, else `ref.id` (the default). */
  readonly keyOf?: (ref: ImmutableRef) => string;
  /** Mounts what layerDirsOf does not know. Without it such refs cannot be hashed. */
  readonly mount?: (mounts: readonly Mount[]) => Promise<{ readonly dir: string; release(): Promise<void> }>;
  /** Trees kept in memory; 20 as upstream. */
  readonly contexts?: number;
}

/**
 * Digests of refs' trees, kept over restarts. A tree that is written to by a transfer is bracketed by beginChanges and
 * commitChanges: whatever ends in between (a crash included) makes the next checksum scan the tree anew.
 */
export interface TreeHasher extends ContentHasher {
  /**
   * From now on the tree may be changed. Gives the file that whoever changes it makes durably before the first change: where it
   * is not there in the end, nothing was changed and all that is known holds.
   */
  beginChanges(id: string): Promise<string>;
  /** Follows a transfer; the digests of folders on the way up become unknown, nothing else. */
  applyChanges(id: string, changes: readonly TreeChange[]): Promise<void>;
  /** Saves the tree, when there were changes, then takes the mark away. */
  commitChanges(id: string): Promise<void>;
  /** Forgets a tree: its record is gone, or a transfer into it failed. */
  drop(id: string): Promise<void>;
  /** Writes what is only in memory, and ends. */
  close(): Promise<void>;
}
