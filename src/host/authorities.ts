import { getCACertificates } from 'node:tls';

let found: readonly string[] | undefined;

/**
 * Who the machine trusts, as certificates in PEM (as Go: SSL_CERT_FILE, SSL_CERT_DIR, the distribution's store); Node's own list
 * where it names nobody. Whoever opens a TLS connection says so: what Node would take by itself is not loaded (see
 * docs/decisions/start.md). The first call takes about 40 ms.
 */
export function systemAuthorities(): readonly string[] {
  if (found === undefined) {
    const system = getCACertificates('system');
    found = system.length > 0 ? system : getCACertificates('bundled');
  }
  return found;
}
