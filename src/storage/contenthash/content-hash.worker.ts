import { serveJobs } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';
import { LayerTree } from '../tree/index.ts';
import { FilesNeeded, HashTree } from './hash-tree.ts';
import type { ChecksumJob, CommitJob, CompareJob } from './jobs.ts';
import { differences, listSelected } from './listing.ts';
import { newFolder } from './nodes.ts';
import { selectedDigest } from './selection.ts';
import { recallListing, rememberListing } from './seen-contents.ts';
import { StoredTrees } from './stored-trees.ts';
import type { ContentChange } from '../../solver/types.ts';

/** Contents of more entries are not remembered. */
const MAX_ENTRIES = 100_000;
const MAX_LINES = 50;

const stored = new StoredTrees();

/** undefined: the answer is only in the files. */
function checksum(job: ChecksumJob, context: JobContext): string | undefined {
  const { files, layers } = job;
  if (!job.changing) stored.dropUnfinished(files);
  const root = job.changing ? newFolder() : stored.load(files);
  const source = layers === undefined ? undefined : { tree: new LayerTree(layers), overlay: layers.length > 1 };
  const tree = new HashTree(root, source, { check: context.check, foldsCase: job.foldsCase });
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

/** undefined: there is nothing to compare with. */
function compare(job: CompareJob, context: JobContext): ContentChange | undefined {
  const root = stored.load(job.files);
  const source = { tree: new LayerTree(job.layers), overlay: job.layers.length > 1 };
  const now = listSelected(
    new HashTree(root, source, { check: context.check, foldsCase: job.foldsCase }),
    job.selectors,
    MAX_ENTRIES,
  );
  if (now === undefined) return undefined;
  const before = recallListing(job.memory);
  rememberListing(job.memory, now);
  if (before === undefined) return undefined;
  const lines: string[] = [];
  let total = 0;
  for (const line of differences(before, now)) if (total++ < MAX_LINES) lines.push(line);
  return { total, lines };
}

serveJobs({ checksum, commit, compare });
