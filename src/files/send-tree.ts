import { realpath, stat } from 'node:fs/promises';
import { invalidArgument, wrapError } from '../base/index.ts';
import { sendJob } from './send-job.ts';
import type { SendArgs, SendEvent } from './send-job.ts';
import { isSmallTree } from './small-tree.ts';
import { runTransfer } from './transfer.ts';
import type { PacketChannel, SendOptions } from './types.ts';

/**
 * Sends what of `root` the patterns leave to the receiver at the other end of `channel`, whoever that is. Resolves once the
 * receiver has it all; the connection is the caller's to close. Throws its own errors, `error from receiver: …`, or an error that
 * names the file which changed while it was sent.
 */
export async function sendTree(root: string, channel: PacketChannel, options: SendOptions): Promise<void> {
  let resolved: string;
  try {
    resolved = await realpath(root);
    if (!(await stat(resolved)).isDirectory()) throw invalidArgument(`${root} is not a directory`);
  } catch (error) {
    throw wrapError(error, `failed to read ${root}`);
  }
  const { includePatterns, excludePatterns, followPaths, resetOwner, mtimeNs, prefix, over } = options;
  const patterns = { includePatterns, excludePatterns, followPaths };
  const args: SendArgs = { root: resolved, ...patterns, resetOwner, mtimeNs, prefix, over };
  let bytes = 0;
  const onEvent = (event: SendEvent): void => {
    bytes = event.bytes;
    options.onProgress?.(bytes, false);
  };
  // A client that sends a Dockerfile would wait longer for the thread than for the transfer.
  const here = isSmallTree(resolved, followPaths ?? []) ? sendJob : undefined;
  try {
    await runTransfer<void>('send', args, channel, { signal: options.signal, onEvent, here });
  } finally {
    options.onProgress?.(bytes, true);
  }
}
