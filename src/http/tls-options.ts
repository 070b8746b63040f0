import { createSecureContext, getCACertificates } from 'node:tls';
import type { SecureContext } from 'node:tls';

export interface TlsOptions {
  /** Takes any certificate. */
  readonly insecure: boolean;
  /** Authorities beside the system's, PEM. */
  readonly ca: readonly Buffer[];
  readonly keypairs: readonly { readonly key: Buffer; readonly cert: Buffer }[];
}

export const noTlsOptions: TlsOptions = { insecure: false, ca: [], keypairs: [] };

let system: readonly string[] | undefined;

/** Who the machine trusts (as Go: SSL_CERT_FILE, SSL_CERT_DIR, the distribution's store); Node's own list where it names nobody. */
function systemAuthorities(): readonly string[] {
  if (system === undefined) {
    const found = getCACertificates('system');
    system = found.length > 0 ? found : getCACertificates('bundled');
  }
  return system;
}

/** Made once for many connections: reading the authorities takes milliseconds. */
export function secureContext({ ca, keypairs }: TlsOptions): SecureContext {
  return createSecureContext({
    ca: [...systemAuthorities(), ...ca.map(String)],
    ...(keypairs.length === 0 ? {} : { key: keypairs.map((p) => p.key), cert: keypairs.map((p) => p.cert) }),
  });
}

export function tlsKey({ insecure, ca, keypairs }: TlsOptions): string {
  const texts = [...ca, ...keypairs.flatMap((p) => [p.key, p.cert])].map((b) => b.toString('base64'));
  return JSON.stringify([insecure, texts]);
}
