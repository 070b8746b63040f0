/** What a source is, before a step uses it: digests and configs of images, digests of files, for frontends. */
import { invalidArgument, notFound, wrapError } from '../base/index.ts';
import { defaultPlatform, MAX_MANIFEST_BYTES, normalizeReference } from '../oci/index.ts';
import type { Digest, Platform } from '../oci/index.ts';
import type { JobContext } from '../solver/types.ts';
import { askerOf, resolveOnce } from './image.ts';
import { parseLayoutRequest } from './image-attrs.ts';
import type { ResolveMode } from './image-attrs.ts';
import { describeLayoutRoot, layoutOrigin, registryOrigin } from './image-origin.ts';
import type { ImageDeps } from './image-origin.ts';
import { resolveHttpMeta } from './http/index.ts';
import type { ChecksumRequest, HttpMeta, HttpSourceDeps } from './http/index.ts';
import { pullManifests } from './pull-manifests.ts';

export interface MetaOptions {
  readonly platform?: Platform;
  readonly resolveMode?: ResolveMode;
  readonly sessionId?: string;
  readonly storeId?: string;
  readonly noConfig?: boolean;
  readonly httpChecksum?: ChecksumRequest;
}

export interface ImageMeta {
  readonly ref: string;
  readonly digest: Digest;
  /** Empty with `noConfig`. */
  readonly config: Uint8Array;
}

export interface SourceMetaAnswer {
  readonly identifier: string;
  readonly attrs: ReadonlyMap<string, string>;
  readonly image?: { readonly digest: Digest; readonly config?: Uint8Array };
  readonly http?: HttpMeta;
}

export interface MetaResolver {
  image(ref: string, options: MetaOptions, context: JobContext): Promise<ImageMeta>;
  source(
    identifier: string,
    attrs: ReadonlyMap<string, string>,
    options: MetaOptions,
    context: JobContext,
  ): Promise<SourceMetaAnswer>;
}

const PASSED_ON = new Set(['local', 'git']);

export function createMetaResolver(deps: ImageDeps & HttpSourceDeps): MetaResolver {
  async function registryImage(text: string, options: MetaOptions, context: JobContext): Promise<ImageMeta> {
    const name = normalizeReference(text);
    const { ref, descriptor } = await resolveOnce(deps, name, options.resolveMode ?? 'default', context);
    if (options.noConfig) return { ref: name, digest: descriptor.digest, config: new Uint8Array(0) };
    const origin = registryOrigin(deps, ref, askerOf(context));
    const { configBytes } = await pullManifests(
      deps.content,
      origin,
      descriptor,
      options.platform ?? defaultPlatform(),
      context.signal,
    );
    return { ref: name, digest: descriptor.digest, config: configBytes };
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
    const root = await describeLayoutRoot(deps, store, given.digest, asker, MAX_MANIFEST_BYTES);
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
    async image(ref, options, context) {
      try {
        if (options.storeId !== undefined && options.storeId !== '')
          return await layoutImage(ref, new Map(), options, context);
        return await registryImage(ref, options, context);
      } catch (error) {
        throw wrapError(error, `failed to resolve source metadata for ${ref}`);
      }
    },
    async source(identifier, attrs, options, context) {
      const at = identifier.indexOf('://');
      if (at < 0) throw invalidArgument(`failed to parse ${identifier}: invalid`);
      const [scheme, ref] = [identifier.slice(0, at), identifier.slice(at + 3)];
      if (PASSED_ON.has(scheme)) return { identifier, attrs };
      if (scheme === 'http' || scheme === 'https') {
        const http = await resolveHttpMeta(deps, { scheme, ref, attrs }, options.httpChecksum, context);
        return { identifier, attrs, http };
      }
      if (scheme !== 'docker-image' && scheme !== 'oci-layout') throw notFound(`unknown scheme ${scheme}`);
      try {
        const image = await (scheme === 'oci-layout'
          ? layoutImage(ref, attrs, options, context)
          : registryImage(ref, options, context));
        return {
          identifier: scheme === 'oci-layout' ? identifier : `${scheme}://${image.ref}`,
          attrs,
          image: { digest: image.digest, ...(options.noConfig ? {} : { config: image.config }) },
        };
      } catch (error) {
        throw wrapError(error, `failed to resolve source metadata for ${ref}`);
      }
    },
  };
}
