import { ReplayedChannel } from './replayed-channel.ts';
import { isSmallTree } from './small-tree.ts';
import { runTransfer } from './transfer.ts';
import type { ReceiveArgs, ReceiveEvent } from './receive-job.ts';
import type { PacketChannel, ReceiveOptions, ReceiveResult } from './types.ts';

/**
 * Makes `root` (made when missing) what the sender at the other end of `channel` lists; resolves once it is and the sender has
 * half-closed. Only what differs is transferred and written. Throws InvalidArgument for a sender that breaks the rules,
 * `error from sender: …`, or its own errors; then the tree is between the two states.
 */
export async function receiveTree(
  root: string,
  channel: PacketChannel,
  options: ReceiveOptions,
): Promise<ReceiveResult> {
  const args: ReceiveArgs = {
    root,
    merge: options.merge === true,
    differ: options.differ ?? 'metadata',
    owner: options.owner,
    wantsChanges: options.onChanges !== undefined,
    marker: options.marker,
    exceptions: options.metadataOnly?.exceptions,
  };
  let bytes = 0;
  const onEvent = (event: ReceiveEvent): void => {
    if (event.changes !== undefined && event.changes.length > 0) options.onChanges?.(event.changes);
    bytes = event.bytes;
    options.onProgress?.(bytes, false);
  };
  const transfer = { signal: options.signal, onEvent };
  try {
    // Most trees that are kept are as they were, and a thread for a Dockerfile takes longer than the rest of such a build.
    if (!args.merge && args.exceptions === undefined && isSmallTree(root, [])) {
      const { receiveJob } = await import('./receive-job.ts');
      const replayed = new ReplayedChannel(channel);
      const looks = { ...args, onlyLooks: true };
      const result = await runTransfer<ReceiveResult | undefined>('receive', looks, replayed, {
        ...transfer,
        here: receiveJob,
      });
      return result ?? (await runTransfer<ReceiveResult>('receive', args, replayed.again(), transfer));
    }
    return await runTransfer<ReceiveResult>('receive', args, channel, transfer);
  } finally {
    options.onProgress?.(bytes, true);
  }
}
