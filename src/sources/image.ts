/** `docker-image://ref`: an image of a registry. */
import type { JobContext } from '../solver/types.ts';
import type { CacheAccessor } from '../storage/types.ts';
import { parseImageRequest, normalizeImageRef } from './image-attrs.ts';
import type { ResolveMode } from './image-attrs.ts';
import { ImageInstance } from './image-instance.ts';
import { registryOrigin } from './image-origin.ts';
import type { Asker, ImageDeps } from './image-origin.ts';
import { pullManifests } from './pull-manifests.ts';
import { resolveImage } from './resolve-image.ts';
import type { Resolved } from './resolve-image.ts';
import type { Source } from './types.ts';

export function askerOf(context: JobContext): Asker {
  return {
    signal: context.signal,
    sessions: () => context.sessions(),
    onLog: (line) => context.progress.log(2, Buffer.from(`${line}\n`)),
  };
}

/** A tag is looked up once a build, whoever asks. */
export function resolveOnce(deps: ImageDeps, ref: string, mode: ResolveMode, context: JobContext): Promise<Resolved> {
  return context.once(`image-resolve:${mode}:${ref}`, () => resolveImage(deps, ref, mode, askerOf(context)));
}

export function createImageSource(deps: ImageDeps & { readonly accessor: CacheAccessor }): Source {
  return {
    schemes: ['docker-image'],
    normalize: (request) => `docker-image://${normalizeImageRef(request.ref)}`,
    resolve: (request) => {
      const image = parseImageRequest(request);
      return new ImageInstance({
        ...image,
        accessor: deps.accessor,
        platform: request.platform,
        local: false,
        open: async (context) => {
          const { ref, descriptor } = await resolveOnce(deps, image.ref, image.resolveMode, context);
          // Later readers ask with the clients of whoever resolved: without the signal, which ends with the step.
          const origin = registryOrigin(deps, ref, { sessions: () => context.sessions() });
          const manifests = await pullManifests(deps.content, origin, descriptor, request.platform, context.signal);
          return { manifests, origin, ref };
        },
      });
    },
  };
}
