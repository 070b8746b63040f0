import { notFound } from '../../base/index.ts';
import type { PacketChannel } from '../../files/types.ts';
import { FileSyncDefinition } from '../../proto/filesync.pb.ts';
import { oneMethod, rawMethod } from '../../rpc/index.ts';
import type { MessageReader, MessageWriter } from '../../rpc/types.ts';
import { decodeValues } from '../keys.ts';
import type { Attachable } from './session.ts';

export function packetChannel(input: MessageReader<Uint8Array>, output: MessageWriter<Uint8Array>): PacketChannel {
  return { readBatch: () => input.readBatch(), writeBatch: (packets) => output.writeBatch(packets) };
}

/** A client answers nobody meanwhile: what a thread would save by going through so much is less than its start takes. */
const HERE = { entries: 4000, bytes: Infinity };

/** Local directories by name. Owners are zeroed, as every client does: who built must not change the cache. */
export function provideDirectories(directories: ReadonlyMap<string, string>): Attachable {
  const method = rawMethod(FileSyncDefinition.methods.diffCopy);
  // Loaded while the daemon works on the request, so that it is there when the daemon asks; what fails here fails there.
  setImmediate(() => void import('./transfers.ts').catch(() => {}));
  return {
    register: (server) =>
      server.add(oneMethod(FileSyncDefinition, 'diffCopy', method), {
        diffCopy: async (input, output, call) => {
          const name = decodeValues(call.metadata, 'dir-name')[0] ?? '';
          const root = directories.get(name);
          if (root === undefined) throw notFound(`no access allowed to dir ${JSON.stringify(name)}`);
          const { sendTree } = await import('./transfers.ts');
          await sendTree(root, packetChannel(input, output), {
            includePatterns: decodeValues(call.metadata, 'include-patterns'),
            excludePatterns: decodeValues(call.metadata, 'exclude-patterns'),
            followPaths: decodeValues(call.metadata, 'followpaths'),
            resetOwner: true,
            here: HERE,
            signal: call.signal,
          });
        },
      }),
  };
}
