/**
 * The reverse tunnel. Daemon side: SessionRegistry takes the tunnels that clients open, and typed calls ask them for
 * files, secrets, agents, credentials and blobs. Client side: Session serves what was allowed (attach/). Deliberately absent: what to do with the answers.
 */
export * from './types.ts';
export { SessionRegistry } from './session-manager.ts';
export { fetchSecret } from './secrets.ts';
export { checkSsh, forwardSsh } from './ssh.ts';
export { openAgentSocket, requireAgent } from './ssh-socket.ts';
export type { AgentSocket } from './ssh-socket.ts';
export { pullDirectory } from './file-sync.ts';
export type { PacketCall, SyncRequest } from './file-sync.ts';
export { sendDirectory, sendFile } from './file-send.ts';
export type { FileSink, SendTarget } from './file-send.ts';
export { pullUpload } from './upload.ts';
export { fetchCredentials, fetchToken, fetchTokenAuthority, verifyTokenAuthority } from './auth.ts';
export type { Credentials, FetchedToken, TokenRequest } from './auth.ts';
export { checkPolicy } from './policy.ts';
export { findExporters, finalizeExport } from './exporter.ts';
export { SessionContent } from './content.ts';
export { Session } from './attach/session.ts';
export type { Attachable, SessionDialer } from './attach/session.ts';
export { provideDirectories } from './attach/file-sync.ts';
export { provideTargets } from './attach/file-send.ts';
export type { ExportTarget, OpenOutput } from './attach/file-send.ts';
export { provideSecrets } from './attach/secrets.ts';
export type { SecretSource } from './attach/secrets.ts';
export { provideAgents } from './attach/ssh.ts';
export type { AgentSource } from './attach/ssh.ts';
export { parsePrivateKey } from './attach/ssh-key.ts';
export { provideAuth } from './attach/auth.ts';
export type { AuthOptions } from './attach/auth.ts';
export type { CredentialHelper } from './attach/docker-config.ts';
export type { AuthTls } from './attach/token-request.ts';
export { provideContent } from './attach/content.ts';
export { provideUploads } from './attach/upload.ts';
