import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { systemAuthorities } from '../host/index.ts';

export interface TlsOptions {
  /** Takes any certificate. */
  readonly insecure: boolean;
  /** Authorities beside the system's, PEM. */
  readonly ca: readonly Buffer[];
  readonly keypairs: readonly { readonly key: Buffer; readonly cert: Buffer }[];
}

export const noTlsOptions: TlsOptions = { insecure: false, ca: [], keypairs: [] };

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
