import { readLimited } from '../http/index.ts';
import { isIndexType, MAX_MANIFEST_BYTES, MediaType, parseIndex } from '../oci/index.ts';
import type { Descriptor, Digest, Reference } from '../oci/index.ts';
import type { ApiClient } from './api-client.ts';
import type { Endpoint } from './endpoints.ts';
import type { RegistryContext } from './types.ts';

/**
 * Manifests that say they are about this one: from the registry's own list, or where it keeps none from the tag that stands
 * in for it (OCI distribution 1.1, "Referrers Tag Schema").
 */
export async function referrersAt(
  api: ApiClient,
  endpoint: Endpoint,
  ref: Reference,
  digest: Digest,
  context: RegistryContext,
): Promise<readonly Descriptor[]> {
  for (const path of [`referrers/${digest}`, `manifests/${digest.replace(':', '-')}`]) {
    const headers = { accept: MediaType.ociIndex };
    const request = { method: 'GET', path, headers, accept: [200, 400, 404, 405] };
    const response = await api.call(endpoint, ref, request, context);
    const type = (response.header('content-type') ?? '').split(';', 1)[0].trim();
    if (response.status === 200 && isIndexType(type)) {
      return parseIndex(await readLimited(response, MAX_MANIFEST_BYTES, `referrers of ${digest}`)).manifests;
    }
    await response.discard();
  }
  return [];
}
