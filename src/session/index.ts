/**
 * The reverse tunnel. Daemon side: SessionRegistry takes the tunnels that clients open, and typed calls ask them for
 * files, secrets, agents, credentials and blobs. Deliberately absent: what to do with the answers.
 */
export * from './types.ts';
export { SessionRegistry } from './session-manager.ts';
export { fetchSecret } from './secrets.ts';
export { checkSsh, forwardSsh } from './ssh.ts';
export { pullDirectory } from './file-sync.ts';
export type { PacketCall, SyncRequest } from './file-sync.ts';
export { sendDirectory, sendFile } from './file-send.ts';
export type { FileSink, SendTarget } from './file-send.ts';
export { pullUpload } from './upload.ts';
export { fetchCredentials, fetchToken, fetchTokenAuthority, verifyTokenAuthority } from './auth.ts';
export type { Credentials, FetchedToken, TokenRequest } from './auth.ts';
export { findExporters, finalizeExport } from './exporter.ts';
export { SessionContent } from './content.ts';
