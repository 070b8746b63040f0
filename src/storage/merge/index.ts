/**
 * Merge and diff snapshots made real: changes of layers applied to one directory by hard links or copies. In come stacks of
 * directories, out goes the disk usage. Deliberately absent: which layers to merge, and mounts.
 */
import type { WorkOptions } from '../diff/types.ts';
import type { MergeRequest, MergeUsage } from './types.ts';

export type { MergeDiff, MergeRequest, MergeUsage } from './types.ts';

export function applyMerge(_request: MergeRequest, _options: WorkOptions = {}): Promise<MergeUsage> {
  throw new Error('not yet');
}
