import { createHash } from 'node:crypto';

/** `sha256:…` of text or bytes: cache-map digests and selectors. */
export function sha256(data: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}
