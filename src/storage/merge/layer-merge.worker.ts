import type { ByteString } from '../../archive/index.ts';
import { serveJobs } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';
import { layerChanges, LayerTree } from '../tree/index.ts';
import type { TreeEntry } from '../tree/index.ts';
import { MergeTarget } from './merge-target.ts';
import type { MergeDiff, MergeRequest, MergeUsage } from './types.ts';

function applyDiff(
  { lower, upper, link }: MergeDiff,
  target: MergeTarget,
  foldsCase: boolean,
  context: JobContext,
): void {
  const tree = new LayerTree(upper);
  const folders = new Set<ByteString>();
  /** Names of files with several, by inode. */
  const names = new Map<string, ByteString>();
  // Folders on the way come with a change, a deletion too: layers made of the result list them.
  const parents = (path: ByteString): void => {
    const slash = path.lastIndexOf('/');
    if (slash < 0) return;
    const parent = path.slice(0, slash);
    if (folders.has(parent)) return;
    folders.add(parent);
    parents(parent);
    target.put(parent, tree.lookup(parent) as TreeEntry, { share: link, linkTo: undefined });
  };
  for (const change of layerChanges(lower, upper, { foldsCase })) {
    context.check();
    if (change.kind === 'unmodified') continue;
    parents(change.path);
    if (change.kind === 'delete') {
      target.remove(change.path);
      continue;
    }
    const { stat } = change.entry;
    let linkTo: ByteString | undefined;
    if (stat.isDirectory()) folders.add(change.path);
    else if (stat.nlink > 1n) {
      const inode = `${stat.dev}:${stat.ino}`;
      linkTo = names.get(inode);
      if (linkTo === undefined) names.set(inode, change.path);
    }
    target.put(change.path, change.entry, { share: link, linkTo });
  }
}

function merge(request: MergeRequest, context: JobContext): MergeUsage {
  const target = new MergeTarget(request);
  for (const diff of request.diffs) applyDiff(diff, target, request.foldsCase === true, context);
  target.finish();
  return target.usage();
}

serveJobs({ merge });
