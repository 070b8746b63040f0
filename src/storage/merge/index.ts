/**
 * Merge and diff snapshots made real: changes of layers applied to one directory by hard links or copies. In come stacks of
 * directories, out goes the disk usage. Deliberately absent: which layers to merge, and mounts.
 */
import { ThreadPool, workerEntry } from '../../base/index.ts';
import { callOptions } from '../diff/call-options.ts';
import type { WorkOptions } from '../diff/types.ts';
import type { MergeRequest, MergeUsage } from './types.ts';

export type { MergeDiff, MergeRequest, MergeUsage } from './types.ts';

const pool = new ThreadPool(workerEntry(import.meta.url, 'layer-merge.worker'));

/** After an error the target is in no defined state. */
export function applyMerge(request: MergeRequest, options: WorkOptions = {}): Promise<MergeUsage> {
  return pool.call<MergeUsage>('merge', request, callOptions(options));
}
