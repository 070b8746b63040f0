import type { LayerDirs } from '../tree/layers.ts';

/** What `upper` changed on `lower` ([] is scratch). */
export interface MergeDiff {
  readonly lower: LayerDirs;
  readonly upper: LayerDirs;
  /** Regular files may be shared with the diff's snapshots by hard links, where the file system allows it. */
  readonly link: boolean;
}

export interface MergeRequest {
  /** Applied in order, the last one on top. */
  readonly diffs: readonly MergeDiff[];
  /** The upperdir of the new snapshot's overlay, or its plain directory. */
  readonly target: string;
  /** `overlay`: the layers below `target`, topmost first ([] when none); deletions become whiteouts where they hide something. */
  readonly style: 'overlay' | 'plain';
  readonly lower: LayerDirs;
  readonly userxattr?: boolean;
  /** Names that differ by case alone are one, as Windows has it. */
  readonly foldsCase?: boolean;
}

/** What `target` takes on disk beside the shared files. */
export interface MergeUsage {
  readonly size: number;
  readonly inodes: number;
}
