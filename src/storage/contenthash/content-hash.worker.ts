import { serveJobs } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';
import { LayerTree } from '../tree/index.ts';
import { FilesNeeded, HashTree } from './hash-tree.ts';
import type { ChecksumJob, CommitJob } from './jobs.ts';
import { newFolder } from './nodes.ts';
import { selectedDigest } from './selection.ts';
import { StoredTrees } from './stored-trees.ts';

const stored = new StoredTrees();

/** undefined: the answer is only in the files. */
function checksum(job: ChecksumJob, context: JobContext): string | undefined {
  const { files, layers } = job;
  if (!job.changing) stored.dropUnfinished(files);
  const root = job.changing ? newFolder() : stored.load(files);
  const source = layers === undefined ? undefined : { tree: new LayerTree(layers), overlay: layers.length > 1 };
  const tree = new HashTree(root, source, context.check);
  try {
    return selectedDigest(tree, job.path, job.selector);
  } catch (error) {
    if (error instanceof FilesNeeded) return undefined;
    throw error;
  } finally {
    // What was learnt stays true when the work is cancelled or the path is not there.
    if (tree.changed && !job.changing) stored.save(files, root, { durable: false, keep: job.contexts });
  }
}

function commit({ files, contexts }: CommitJob): void {
  stored.commit(files, contexts);
}

serveJobs({ checksum, commit });
