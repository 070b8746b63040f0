import { realpathSync, statSync } from 'node:fs';
import { invalidArgument, wrapError } from '../base/index.ts';
import { sendJob } from './send-job.ts';
import type { SendArgs, SendEvent } from './send-job.ts';
import { isSmallTree } from './small-tree.ts';
import { runTransfer } from './transfer.ts';
import type { PacketChannel, SendOptions, SentTree } from './types.ts';

/** At once, as the look for small trees below: a client has no threads for files until then, and needs none for a few. */
function resolveRoot(root: string): string {
  try {
    const resolved = realpathSync.native(root);
    if (!statSync(resolved).isDirectory()) throw invalidArgument(`${root} is not a directory`);
    return resolved;
  } catch (error) {
    throw wrapError(error, `failed to read ${root}`);
  }
}

/**
 * Sends what of `root` the patterns leave to the receiver at the other end of `channel`, whoever that is. Resolves once the
 * receiver has it all; the connection is the caller's to close. Throws its own errors, `error from receiver: …`, or an error that
 * names the file which changed while it was sent.
 */
export async function sendTree(root: string, channel: PacketChannel, options: SendOptions): Promise<void> {
  await sendTrees([{ root }], channel, options);
}

/** As sendTree, of several trees that the receiver gets as one. */
export async function sendTrees(
  given: readonly SentTree[],
  channel: PacketChannel,
  options: SendOptions,
): Promise<void> {
  const trees = given.map((tree) => ({ ...tree, root: resolveRoot(tree.root) }));
  const { includePatterns, excludePatterns, followPaths, resetOwner } = options;
  const args: SendArgs = { trees, includePatterns, excludePatterns, followPaths, resetOwner };
  let bytes = 0;
  const onEvent = (event: SendEvent): void => {
    bytes = event.bytes;
    options.onProgress?.(bytes, false);
  };
  // A client that sends a Dockerfile would wait longer for the thread than for the transfer.
  const small = trees.length === 1 && isSmallTree(trees[0].root, followPaths ?? [], options.here);
  const here = small ? sendJob : undefined;
  try {
    await runTransfer<void>('send', args, channel, { signal: options.signal, onEvent, here });
  } finally {
    options.onProgress?.(bytes, true);
  }
}
