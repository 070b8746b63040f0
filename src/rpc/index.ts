/**
 * gRPC on HTTP/2: byte streams come in (sockets, TLS, other calls), calls with deadlines, metadata and typed errors
 * go out. `status.ts` is the only place that knows how a BuildError looks on the wire. Deliberately absent:
 * compression, load balancing, reconnecting.
 */
export * from './types.ts';
export { createServer } from './server.ts';
export { createChannel } from './channel.ts';
export { dial, KEEP_ALIVE_MS, parseAddress } from './dial.ts';
export type { DialOptions, TlsOptions } from './dial.ts';
export { addHealth } from './health.ts';
export { addReflection } from './reflection.ts';
export { bytesMethod, bytesType, oneMethod, rawMethod } from './raw.ts';
export type { Bytes } from './raw.ts';
export { linkFromCall, linkFromServerCall } from './call-link.ts';
export { duplexFromCall, duplexFromServerCall } from './byte-stream.ts';
export { duplexPair } from './pair.ts';
export { decodeStatus, encodeStatus } from './status.ts';
