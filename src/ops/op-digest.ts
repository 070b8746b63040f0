import { hash } from 'node:crypto';

/** `sha256:…` of text or bytes: cache-map digests and selectors. */
export function sha256(data: string | Uint8Array): string {
  return `sha256:${hash('sha256', data)}`;
}
