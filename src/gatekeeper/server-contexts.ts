import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { issueFor, SERVER_MS } from './certificate.ts';
import type { Authority } from './certificate.ts';

interface Entry {
  readonly context: SecureContext;
  readonly until: number;
}

/** A step chooses the names; each costs a signature and some memory. */
const MAX_ENTRIES = 256;
/** So long before its end a certificate is replaced. */
const RENEW_MS = 3_600_000;

/** What TLS servers in an authority's name need, by host: the ones that were used last are kept. */
export class ServerContexts {
  readonly #authority: Authority;
  /** The one that was used last stands last. */
  readonly #entries = new Map<string, Entry>();

  constructor(authority: Authority) {
    this.#authority = authority;
  }

  get(host: string): SecureContext {
    const now = Date.now();
    let entry = this.#entries.get(host);
    this.#entries.delete(host);
    if (entry === undefined || entry.until <= now) {
      const cert = issueFor(host, this.#authority, now);
      const context = createSecureContext({ cert, key: this.#authority.serverKey });
      entry = { context, until: now + SERVER_MS - RENEW_MS };
    }
    this.#entries.set(host, entry);
    if (this.#entries.size > MAX_ENTRIES) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
    return entry.context;
  }
}
