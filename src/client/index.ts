/**
 * The SDK: in come an address, a definition or a frontend and what the build may use of this machine (directories,
 * secrets, agents, logins, stores, targets); out come the exporters' answers, progress and errors with their details.
 * A build's session is opened, served and closed here. Deliberately absent: command lines, display, any daemon.
 */
export { connect } from './connect.ts';
export type { ConnectOptions } from './connect.ts';
export { Client } from './client.ts';
export { runCredentialHelper } from './credential-helper.ts';
export { daemonError } from './daemon-error.ts';
export type { HistoryQuery, PruneOptions } from './client.ts';
export type { CacheEntry, ExportEntry, SolveRequest, SolveResult } from './types.ts';
export { serveBuild } from './frontend-process.ts';
export { gatewayFor } from './gateway.ts';
export type { GatewayRefHandle } from './gateway.ts';
