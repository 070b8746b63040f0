import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';
import { notFound } from '../../base/index.ts';
import { UploadDefinition } from '../../proto/upload.pb.ts';
import { bytesMethod, duplexFromServerCall, oneMethod } from '../../rpc/index.ts';
import type { Attachable } from './session.ts';

/** Bodies by path: `http://buildkit-session/<path>` in a build reads one of them, once. */
export function provideUploads(bodies: ReadonlyMap<string, () => Readable>): Attachable {
  const method = bytesMethod(UploadDefinition.methods.pull);
  return {
    register: (server) =>
      server.add(oneMethod(UploadDefinition, 'pull', method), {
        pull: async (input, output, call) => {
          const path = (call.metadata.get('urlpath')?.[0] ?? '').replace(/^\/+/, '');
          const open = bodies.get(path);
          if (open === undefined) throw notFound(`no upload for ${JSON.stringify(path)}`);
          const { duplex, finished } = duplexFromServerCall(input, output, call.signal);
          duplex.on('error', () => {});
          try {
            await pipeline(open(), duplex);
            await finished;
          } finally {
            duplex.destroy();
          }
        },
      }),
  };
}
