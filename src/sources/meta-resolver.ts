/** What a source is, without making a snapshot of it: digests and configs of images for frontends. */
import { invalidArgument, notFound } from '../base/index.ts';
import { defaultPlatform, normalizeReference } from '../oci/index.ts';
import type { Digest, Platform } from '../oci/index.ts';
import type { JobContext } from '../solver/types.ts';
import { resolveAttestationChain } from './attestation-chain.ts';
import { askerOf, resolveOnce } from './image.ts';
import { parseLayoutRequest } from './image-attrs.ts';
import type { ResolveMode } from './image-attrs.ts';
import { layoutOrigin, referrersOf, registryOrigin } from './image-origin.ts';
import type { ImageDeps } from './image-origin.ts';
import { layoutRoot } from './oci-layout.ts';
import { pullManifests } from './pull-manifests.ts';
import type { AttestationChain, SourceMeta } from '../llb/index.ts';
import type { DescribeOptions, Source } from './types.ts';

export interface MetaOptions extends DescribeOptions {
  readonly platform?: Platform;
  readonly resolveMode?: ResolveMode;
  readonly sessionId?: string;
  readonly storeId?: string;
  readonly noConfig?: boolean;
}

interface ImageMeta {
  readonly ref: string;
  readonly digest: Digest;
  /** Empty with `noConfig`. */
  readonly config: Uint8Array;
  readonly attestations?: AttestationChain;
}

export interface MetaResolver {
  source(
    identifier: string,
    attrs: ReadonlyMap<string, string>,
    options: MetaOptions,
    context: JobContext,
  ): Promise<SourceMeta>;
}

export function createMetaResolver(deps: ImageDeps, sources: readonly Source[]): MetaResolver {
  async function registryImage(text: string, options: MetaOptions, context: JobContext): Promise<ImageMeta> {
    const name = normalizeReference(text);
    const { ref, descriptor } = await resolveOnce(deps, name, options.resolveMode ?? 'default', context);
    const origin = registryOrigin(deps, ref, askerOf(context));
    const asked = options.attestations;
    const attestations =
      asked &&
      (await resolveAttestationChain({
        root: descriptor,
        origin,
        platform: options.platform,
        predicateTypes: asked.predicateTypes,
        referrers: (digest) => referrersOf(deps, ref, digest, askerOf(context)),
        signal: context.signal,
      }));
    const image = { ref: name, digest: descriptor.digest, ...(attestations === undefined ? {} : { attestations }) };
    if (options.noConfig) return { ...image, config: new Uint8Array(0) };
    const { configBytes } = await pullManifests(
      deps.content,
      origin,
      descriptor,
      options.platform ?? defaultPlatform(),
      context.signal,
    );
    return { ...image, config: configBytes };
  }

  async function layoutImage(
    ref: string,
    attrs: ReadonlyMap<string, string>,
    options: MetaOptions,
    context: JobContext,
  ): Promise<ImageMeta> {
    const given = parseLayoutRequest({ ref, attrs });
    const store = { sessionId: options.sessionId ?? given.sessionId, storeId: options.storeId ?? given.storeId };
    const asker = askerOf(context);
    const root = await layoutRoot(deps, store, given.digest, context);
    if (options.noConfig) return { ref, digest: root.digest, config: new Uint8Array(0) };
    const origin = layoutOrigin(deps, store, asker);
    const { configBytes } = await pullManifests(
      deps.content,
      origin,
      root,
      options.platform ?? defaultPlatform(),
      context.signal,
    );
    return { ref, digest: root.digest, config: configBytes };
  }

  return {
    async source(identifier, attrs, options, context) {
      const at = identifier.indexOf('://');
      if (at < 0) throw invalidArgument(`failed to parse ${identifier}: invalid`);
      const [scheme, ref] = [identifier.slice(0, at), identifier.slice(at + 3)];
      if (scheme !== 'docker-image' && scheme !== 'oci-layout') {
        const source = sources.find((s) => s.schemes.includes(scheme));
        if (source === undefined) throw notFound(`unknown scheme ${scheme}`);
        const request = { scheme, ref, attrs, platform: options.platform ?? defaultPlatform() };
        return { identifier, attrs, ...(await source.describe?.(request, options, context)) };
      }
      const image = await (scheme === 'oci-layout'
        ? layoutImage(ref, attrs, options, context)
        : registryImage(ref, options, context));
      return {
        identifier: scheme === 'oci-layout' ? identifier : `${scheme}://${image.ref}`,
        attrs,
        image: {
          digest: image.digest,
          ...(options.noConfig ? {} : { config: image.config }),
          ...(image.attestations === undefined ? {} : { attestations: image.attestations }),
        },
      };
    },
  };
}
