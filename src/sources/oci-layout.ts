/** `oci-layout://name@digest`: an image in an OCI layout that a client serves. */
import { MAX_MANIFEST_BYTES } from '../oci/index.ts';
import type { CacheAccessor } from '../storage/types.ts';
import { askerOf } from './image.ts';
import { parseLayoutRequest } from './image-attrs.ts';
import { ImageInstance } from './image-instance.ts';
import { describeLayoutRoot, layoutOrigin } from './image-origin.ts';
import type { ImageDeps } from './image-origin.ts';
import { pullManifests } from './pull-manifests.ts';
import type { Source } from './types.ts';

export function createOciLayoutSource(deps: ImageDeps & { readonly accessor: CacheAccessor }): Source {
  return {
    schemes: ['oci-layout'],
    normalize: (request) => `oci-layout://${parseLayoutRequest({ ref: request.ref, attrs: new Map() }).ref}`,
    resolve: (request) => {
      const layout = parseLayoutRequest(request);
      return new ImageInstance({
        accessor: deps.accessor,
        ref: layout.ref,
        platform: request.platform,
        local: true,
        ...(layout.layerLimit === undefined ? {} : { layerLimit: layout.layerLimit }),
        open: async (context) => {
          const root = await describeLayoutRoot(deps, layout, layout.digest, askerOf(context), MAX_MANIFEST_BYTES);
          const origin = layoutOrigin(deps, layout, { sessions: () => context.sessions() });
          const manifests = await pullManifests(deps.content, origin, root, request.platform, context.signal);
          return { manifests, origin, ref: layout.ref };
        },
      });
    },
  };
}
