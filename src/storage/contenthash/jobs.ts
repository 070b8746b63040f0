import type { LayerDirs } from '../tree/index.ts';
import type { ContentSelector } from '../types.ts';
import type { TreeFiles } from './stored-trees.ts';

export interface CommitJob {
  readonly files: TreeFiles;
  readonly contexts: number;
}

/** Tells what differs from the listing in `memory`, and puts the new one there. */
export interface CompareJob extends CommitJob {
  /** Names that differ by case alone are one: a tree of Windows. */
  readonly foldsCase: boolean;
  readonly selectors: readonly ContentSelector[];
  readonly layers: LayerDirs;
  readonly memory: string;
}

export interface ChecksumJob extends CommitJob {
  readonly foldsCase: boolean;
  readonly path: string;
  readonly selector: Omit<ContentSelector, 'path'>;
  /** Where what is not known yet is read. */
  readonly layers: LayerDirs | undefined;
  /** The tree is being written to: nothing that is known holds, and nothing is kept. */
  readonly changing: boolean;
}
