import { BuildError, Code, unimplemented } from '../base/index.ts';
import { FileSendDefinition } from '../proto/filesync.pb.ts';
import { bytesMethod, rawMethod } from '../rpc/index.ts';
import { packetCall } from './file-sync.ts';
import type { PacketCall } from './file-sync.ts';
import { encodeValues, META } from './keys.ts';
import type { Pairs } from './keys.ts';
import type { SessionCaller } from './types.ts';

/** Largest piece of a file target (session/filesync/diffcopy.go upstream). */
const MAX_PIECE = 3 << 20;

export interface SendTarget {
  /** Index of the exporter in the Solve request, as text. */
  readonly exporterId: string;
  readonly multiPlatform?: boolean;
}

function check(caller: SessionCaller): void {
  const { fullName, methods } = FileSendDefinition;
  if (!caller.supports(`/${fullName}/${methods.diffCopy.name}`))
    throw unimplemented(`method ${methods.diffCopy.name} not supported by the client`);
}

function metadataOf(target: SendTarget): Pairs {
  const metadata: Pairs = [[META.exporterId, target.exporterId]];
  if (target.multiPlatform === true) metadata.push([META.multiPlatform, '1']);
  return metadata;
}

/** The client's directory target: feed it to `sendTree`. */
export function sendDirectory(caller: SessionCaller, target: SendTarget, signal?: AbortSignal): PacketCall {
  check(caller);
  const method = rawMethod(FileSendDefinition.methods.diffCopy);
  return packetCall(caller.channel.stream(FileSendDefinition, method, { metadata: metadataOf(target), signal }));
}

/** A file that is written to the client. `write` after the client said "I have it" does nothing. */
export interface FileSink {
  write(chunk: Uint8Array): Promise<void>;
  /** Resolves once the client has taken all; throws its error. */
  close(): Promise<void>;
  cancel(reason?: Error): void;
}

/** The client's file target. `response` are the exporter's entries so far (`containerimage.digest` and so on). */
export function sendFile(
  caller: SessionCaller,
  target: SendTarget,
  response: ReadonlyMap<string, string>,
  signal?: AbortSignal,
): FileSink {
  check(caller);
  const metadata = metadataOf(target);
  for (const [key, value] of response) metadata.push(...encodeValues(META.exporterPrefix + key, [value]));
  const method = bytesMethod(FileSendDefinition.methods.diffCopy);
  const call = caller.channel.stream(FileSendDefinition, method, { metadata, signal });
  let skipped = false;
  /** The status explains a failed write; AlreadyExists is the client's "skip quietly". */
  const settle = async (): Promise<void> => {
    try {
      while ((await call.readBatch()) !== undefined);
    } catch (error) {
      if (!(error instanceof BuildError && error.code === Code.AlreadyExists)) throw error;
      skipped = true;
    }
  };
  return {
    write: async (chunk) => {
      for (let at = 0; at < chunk.length && !skipped; at += MAX_PIECE) {
        try {
          await call.write({ data: chunk.subarray(at, at + MAX_PIECE) });
        } catch {
          await settle();
          if (!skipped) throw new BuildError(Code.Unknown, 'the client ended the transfer early');
        }
      }
    },
    close: async () => {
      if (skipped) return;
      call.end();
      await settle();
    },
    cancel: (reason) => call.cancel(reason),
  };
}
