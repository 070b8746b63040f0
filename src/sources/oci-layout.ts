/** `oci-layout://name@digest`: an image in an OCI layout that a client serves. */
import { MAX_MANIFEST_BYTES } from '../oci/index.ts';
import type { Descriptor, Digest } from '../oci/index.ts';
import type { JobContext } from '../solver/types.ts';
import type { CacheAccessor } from '../storage/types.ts';
import { askerOf } from './image.ts';
import { parseLayoutRequest } from './image-attrs.ts';
import { ImageInstance } from './image-instance.ts';
import { describeLayoutRoot, layoutOrigin } from './image-origin.ts';
import type { ImageDeps, LayoutStore } from './image-origin.ts';
import { pullManifests } from './pull-manifests.ts';
import type { Source } from './types.ts';

/** What is under the digest is looked up once a build, whoever asks. */
export function layoutRoot(
  deps: ImageDeps,
  store: LayoutStore,
  digest: Digest,
  context: JobContext,
): Promise<Descriptor> {
  return context.once(`layout-root:${JSON.stringify([store.sessionId, store.storeId, digest])}`, () =>
    describeLayoutRoot(deps, store, digest, askerOf(context), MAX_MANIFEST_BYTES),
  );
}

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
          const root = await layoutRoot(deps, layout, layout.digest, context);
          const origin = layoutOrigin(deps, layout, { sessions: () => context.sessions() });
          const manifests = await pullManifests(deps.content, origin, root, request.platform, context.signal);
          return { manifests, origin, ref: layout.ref };
        },
      });
    },
  };
}
