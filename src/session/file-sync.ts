import { FileSyncDefinition } from '../proto/filesync.pb.ts';
import type { PacketChannel } from '../files/types.ts';
import { rawMethod } from '../rpc/index.ts';
import type { ClientStream } from '../rpc/types.ts';
import { BuildError, Code } from '../base/index.ts';
import { encodeValues } from './keys.ts';
import type { Pairs } from './keys.ts';
import type { SessionCaller } from './types.ts';

export interface SyncRequest {
  /** Name of one of the client's directories. */
  readonly name: string;
  readonly includePatterns?: readonly string[];
  readonly excludePatterns?: readonly string[];
  readonly followPaths?: readonly string[];
}

/** A call that carries fsutil packets. `close` half-closes, `cancel` gives up; one of them ends it. */
export interface PacketCall extends PacketChannel {
  close(): void;
  cancel(reason?: Error): void;
}

export function packetCall(call: ClientStream<Uint8Array, Uint8Array>): PacketCall {
  return {
    readBatch: () => call.readBatch(),
    writeBatch: (packets) => call.writeBatch(packets),
    close: () => call.end(),
    cancel: (reason) => call.cancel(reason),
  };
}

/** Asks the client to send a directory; feed it to `receiveTree`. Throws "no local sources enabled". */
export function pullDirectory(caller: SessionCaller, request: SyncRequest, signal?: AbortSignal): PacketCall {
  const definition = FileSyncDefinition.methods.diffCopy;
  if (!caller.supports(`/${FileSyncDefinition.fullName}/${definition.name}`)) {
    throw new BuildError(Code.Unknown, 'no local sources enabled');
  }
  const metadata: Pairs = [
    ...encodeValues('dir-name', [request.name]),
    ...encodeValues('include-patterns', request.includePatterns ?? []),
    ...encodeValues('exclude-patterns', request.excludePatterns ?? []),
    ...encodeValues('followpaths', request.followPaths ?? []),
  ];
  return packetCall(caller.channel.stream(FileSyncDefinition, rawMethod(definition), { metadata, signal }));
}
