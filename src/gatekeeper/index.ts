/**
 * Steps' requests by HTTP and HTTPS, taken by a proxy of the daemon's own: each is judged, passed on as a stream, and noted with
 * the digest of what came back. TLS is ended here, with certificates of an authority that lives as long as the daemon. All bytes go
 * through one worker thread. Deliberately absent: namespaces and trust stores (executor/), what policies say (build/), provenance.
 */
export { Gatekeeper } from './gatekeeper.ts';
export { RequestJournal } from './journal.ts';
export type { Guard, Judge, Note, Post } from './types.ts';
