/** Where bundles lie: as blobs of a registry, or of a client's OCI layout. */
import { notFound } from '../../base/index.ts';
import type { Digest } from '../../oci/index.ts';
import { layoutOrigin, registryOrigin } from '../image-origin.ts';
import type { Asker, ImageDeps } from '../image-origin.ts';
import { createSessionAuth } from '../session-auth.ts';

export interface BundleLocation {
  readonly scheme: 'docker-image+blob' | 'oci-layout+blob';
  /** With the digest. */
  readonly ref: string;
  readonly digest: Digest;
  /** '' for any of the build's sessions. */
  readonly sessionId: string;
  readonly storeId: string;
}

/** The bytes; whoever reads them checks the digest. Throws NotFound. */
export async function openBundle(
  deps: ImageDeps,
  { scheme, ref, digest, sessionId, storeId }: BundleLocation,
  asker: Asker,
): Promise<AsyncIterable<Uint8Array>> {
  if (scheme === 'oci-layout+blob') {
    // The client says how large it is.
    const reader = await layoutOrigin(deps, { sessionId, storeId }, asker).reader({ digest, size: 0 });
    return reader.stream();
  }
  const auth = createSessionAuth(deps.sessions, asker.sessions, asker.signal);
  const size = await deps.registry.blobSize(ref, digest, { auth, signal: asker.signal });
  if (size === undefined) throw notFound(`${ref}: not found`);
  const reader = await registryOrigin(deps, ref, asker).reader({ digest, size });
  return reader.stream();
}
