import type { Writable } from 'node:stream';
import { once } from 'node:events';
import { abortReason, BuildError, Code, toBuildError } from '../../base/index.ts';
import { FileSendDefinition } from '../../proto/filesync.pb.ts';
import { bytesType, oneMethod, rawMethod } from '../../rpc/index.ts';
import type { MessageReader, ServerCall } from '../../rpc/types.ts';
import { decodeValues, META } from '../keys.ts';
import { packetChannel } from './file-sync.ts';
import type { Attachable } from './session.ts';

/** Opens the file; undefined: it is there already, the daemon skips it quietly. */
export type OpenOutput = (response: ReadonlyMap<string, string>) => Promise<Writable | undefined>;

/** Where exporter `id` (its index in the request) writes. */
export type ExportTarget =
  | { readonly kind: 'directory'; readonly path: string; readonly replace?: boolean }
  | { readonly kind: 'file'; readonly open: OpenOutput };

async function receiveFile(open: OpenOutput, input: MessageReader<Uint8Array>, call: ServerCall): Promise<void> {
  const response = new Map<string, string>();
  for (const key of call.metadata.keys()) {
    if (!key.startsWith(META.exporterPrefix) || (key.endsWith('-encoded') && call.metadata.has(key.slice(0, -8))))
      continue;
    response.set(key.slice(META.exporterPrefix.length), decodeValues(call.metadata, key).join(','));
  }
  const out = await open(response);
  if (out === undefined) throw new BuildError(Code.AlreadyExists, 'target already exists');
  let failed: Error | undefined;
  out.on('error', (error) => (failed ??= error));
  try {
    for (;;) {
      const batch = await input.readBatch();
      if (batch === undefined) break;
      for (const message of batch) {
        if (failed !== undefined) throw failed;
        if (!out.write(bytesType.decode(message).data)) await once(out, 'drain', { signal: call.signal });
      }
    }
    await new Promise<void>((resolve, reject) => {
      if (failed !== undefined) reject(failed);
      out.once('error', reject);
      out.end(resolve);
    });
  } catch (error) {
    out.destroy();
    throw call.signal.aborted ? abortReason(call.signal) : toBuildError(error);
  }
}

/** Export targets by exporter id. */
export function provideTargets(targets: ReadonlyMap<string, ExportTarget>): Attachable {
  const method = rawMethod(FileSendDefinition.methods.diffCopy);
  return {
    register: (server) =>
      server.add(oneMethod(FileSendDefinition, 'diffCopy', method), {
        diffCopy: async (input, output, call) => {
          const id = call.metadata.get(META.exporterId)?.[0] ?? '0';
          const target = targets.get(id);
          if (target === undefined) throw new BuildError(Code.Unknown, `exporter ${id} not found`);
          if (target.kind === 'file') return receiveFile(target.open, input, call);
          if (target.replace === true && call.metadata.get(META.multiPlatform)?.[0] !== '1') {
            throw new BuildError(Code.FailedPrecondition, 'mode=delete is not supported by this daemon');
          }
          const { receiveTree } = await import('./transfers.ts');
          await receiveTree(target.path, packetChannel(input, output), {
            merge: target.replace !== true,
            owner: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
            signal: call.signal,
          });
        },
      }),
  };
}
