/**
 * HTTP/2 (RFC 9113) with HPACK (RFC 7541) as gRPC needs it, both ends: bytes come in through a Link, streams of a
 * connection go out, and back. All of one turn leaves in one write. Deliberately absent: pushed streams, priorities, upgrade
 * from HTTP/1, compression by Huffman of what is sent, and anything that knows of messages.
 */
export { Http2Connection } from './connection.ts';
export type { Http2Stream, StreamEvents } from './stream.ts';
export type { Link, LinkEvents } from './link.ts';
export type { Fields } from './hpack-decoder.ts';
export { DuplexLink } from './duplex-link.ts';
export { fieldOf } from './fields.ts';
export { FLUSH_PATIENCE_MS } from './limits.ts';
export { CANCEL, NO_ERROR } from './faults.ts';
