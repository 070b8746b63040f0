/**
 * The graph of cache keys in the daemon's database. In: an open database. Out: the {@link KeyStore} that the solver's
 * cache works on. Deliberately absent: the results themselves (snapshots, blobs) and what a key means.
 */
export { openKeyStore } from './sqlite-key-store.ts';
