import { BuildError, Code, mapConcurrent, oneLine, wrapError } from '../base/index.ts';
import { readBlob } from '../content/index.ts';
import type { ContentProvider, ContentStore } from '../content/types.ts';
import {
  formatReference,
  isForeignLayerType,
  parseReference,
  referenceName,
  withDefaultTag,
  withDigest,
} from '../oci/index.ts';
import type { Descriptor } from '../oci/types.ts';
import type { Registry, RegistryAuth } from '../registry/types.ts';
import { listImage } from './image-blobs.ts';
import type { ExportContext } from './types.ts';

/** Repositories of a host that have the blob, comma separated. */
const SOURCE = 'containerd.io/distribution.source.';

export interface PushRequest {
  readonly name: string;
  readonly image: Descriptor;
  readonly provider: ContentProvider;
  readonly byDigest: boolean;
  readonly insecure: boolean;
}

export interface PushDeps {
  readonly registry: Registry;
  readonly content: ContentStore;
  readonly auth: RegistryAuth | undefined;
}

/** Pushes an image: its blobs side by side, then manifests from the leaves up. */
export async function pushImage(deps: PushDeps, request: PushRequest, context: ExportContext): Promise<void> {
  const { image, provider, insecure } = request;
  const parsed = parseReference(request.name);
  const repository = referenceName(parsed);
  if (request.byDigest && (parsed.tag !== undefined || parsed.digest !== undefined)) {
    throw new BuildError(Code.Unknown, `can't push tagged ref ${formatReference(parsed)} by digest`);
  }
  const tagged = withDefaultTag(parsed);
  const shown = request.byDigest ? repository : formatReference(withDigest(tagged, image.digest));
  const rootRef =
    request.byDigest || tagged.tag === undefined ? `${repository}@${image.digest}` : `${repository}:${tagged.tag}`;
  const options = {
    signal: context.signal,
    insecure,
    ...(deps.auth === undefined ? {} : { auth: deps.auth }),
    onLog: (line: string) => context.progress.log(2, Buffer.from(`${line}\n`)),
  };
  const { manifests, blobs } = await listImage(deps.content, image);
  await oneLine(context.progress, 'pushing layers', () =>
    mapConcurrent(
      blobs.filter((blob) => !isForeignLayerType(blob.mediaType)),
      4,
      async (blob) => {
        const mountFrom = await findMount(deps.content, blob, parsed);
        await deps.registry.pushBlob(
          repository,
          blob,
          async () => (await provider.reader(blob, context.signal)).stream(),
          { ...options, ...(mountFrom === undefined ? {} : { mountFrom }) },
        );
        await noteSource(deps.content, blob, parsed);
      },
    ),
  );
  await oneLine(context.progress, `pushing manifest for ${shown}`, async () => {
    for (const manifest of manifests) {
      const ref = manifest === image ? rootRef : `${repository}@${manifest.digest}`;
      const bytes = await readBlob(deps.content, manifest, { signal: context.signal });
      await deps.registry.pushManifest(ref, manifest, bytes, options);
    }
  });
}

async function sourcesOf(content: ContentStore, blob: Descriptor, domain: string): Promise<string[]> {
  const info = await content.info(blob.digest);
  const text = info?.labels.get(SOURCE + domain) ?? blob.annotations?.[SOURCE + domain] ?? '';
  return text.split(',').filter((repository) => repository !== '');
}

/** Another repository of the same registry that the blob came from or went to, as a reference. */
async function findMount(
  content: ContentStore,
  blob: Descriptor,
  target: { domain: string; path: string },
): Promise<string | undefined> {
  const sources = await sourcesOf(content, blob, target.domain);
  const path = sources.findLast((repository) => repository !== target.path);
  return path === undefined ? undefined : `${target.domain}/${path}`;
}

async function noteSource(
  content: ContentStore,
  blob: Descriptor,
  target: { domain: string; path: string },
): Promise<void> {
  if ((await content.info(blob.digest)) === undefined) return;
  const known = await sourcesOf(content, blob, target.domain);
  if (known.includes(target.path)) return;
  await content.setLabels(
    blob.digest,
    new Map([[SOURCE + target.domain, [...known, target.path].slice(-16).join(',')]]),
  );
}

/** As upstream says which of several names failed. */
export async function pushAll(deps: PushDeps, requests: readonly PushRequest[], context: ExportContext): Promise<void> {
  for (const request of requests) {
    try {
      await pushImage(deps, request, context);
    } catch (error) {
      throw wrapError(error, `failed to push ${request.name}`);
    }
  }
}
