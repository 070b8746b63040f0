import type { Duplex } from 'node:stream';
import { UploadDefinition } from '../proto/upload.pb.ts';
import { bytesMethod, duplexFromCall } from '../rpc/index.ts';
import type { SessionCaller } from './types.ts';

/** The body that the client serves under `url` (host `buildkit-session`). The caller owns the duplex. */
export function pullUpload(caller: SessionCaller, url: URL, signal?: AbortSignal): Duplex {
  const metadata = [
    ['urlpath', url.pathname],
    ['urlhost', url.host],
  ] as const;
  return duplexFromCall(
    caller.channel.stream(UploadDefinition, bytesMethod(UploadDefinition.methods.pull), { metadata, signal }),
  );
}
