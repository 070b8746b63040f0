/** What image sources have in common, wherever the image is. */
import { BuildError, Code, invalidArgument, nowNs } from '../base/index.ts';
import type { StepFacts } from '../attest/index.ts';
import { chainId, configDiffIds, digestOf, goJson, normalizePlatform, parseDigest } from '../oci/index.ts';
import type { Digest, Platform } from '../oci/index.ts';
import type { JobContext } from '../solver/types.ts';
import type { CacheAccessor, ImmutableRef, RecordType } from '../storage/types.ts';
import type { ImageOrigin } from './image-origin.ts';
import type { PulledManifests } from './pull-manifests.ts';
import type { SourceInstance, SourceKey } from './types.ts';

export interface OpenedImage {
  readonly manifests: PulledManifests;
  readonly origin: ImageOrigin;
  /** With the digest: kept with the records. */
  readonly ref: string;
}

export interface ImageInstanceOptions {
  readonly accessor: CacheAccessor;
  readonly ref: string;
  readonly platform: Platform;
  /** It is in a client's layout. */
  readonly local: boolean;
  readonly layerLimit?: number;
  readonly checksum?: Digest;
  readonly recordType?: RecordType;
  open(context: JobContext): Promise<OpenedImage>;
}

function manifestKey(digest: Digest, p: Platform, limit: number | undefined): string {
  return digestOf(
    goJson({
      Digest: digest,
      OS: p.os,
      Arch: p.architecture,
      Variant: p.variant,
      OSVersion: p.osVersion,
      OSFeatures: p.osFeatures?.length ? p.osFeatures : undefined,
      Limit: limit,
    }),
  );
}

/**
 * The chain of layers: a rebuilt image with the same layers is the same. Those of Windows have keys of their own, unlike upstream's:
 * of an image that calls other layers so, nobody's image with the same layers must be taken. undefined: no layers to go by.
 */
function configKey(image: PulledManifests, { os }: Platform, limit: number | undefined): string | undefined {
  if (image.config === undefined) return digestOf(image.configBytes);
  const chain = chainId(configDiffIds(image.config).slice(0, limit));
  return chain === undefined || os !== 'windows' ? chain : digestOf(`windows ${chain}`);
}

export class ImageInstance implements SourceInstance {
  readonly #options: ImageInstanceOptions;
  #opened: Promise<OpenedImage> | undefined;

  constructor(options: ImageInstanceOptions) {
    this.#options = options;
  }

  async #open(context: JobContext): Promise<OpenedImage> {
    this.#opened ??= this.#resolve(context);
    const opened = this.#opened;
    try {
      return await opened;
    } catch (error) {
      if (this.#opened === opened) this.#opened = undefined;
      throw error;
    }
  }

  async #resolve(context: JobContext): Promise<OpenedImage> {
    const { ref, checksum, layerLimit } = this.#options;
    const id = `resolve ${ref}`;
    const started = nowNs();
    context.progress.status({ id, current: 0, started });
    try {
      const opened = await this.#options.open(context);
      const { root, layers } = opened.manifests;
      if (checksum !== undefined && root.digest !== checksum) {
        throw new BuildError(
          Code.FailedPrecondition,
          `image digest ${root.digest} for ${ref} does not match expected checksum ${checksum}`,
        );
      }
      if (layerLimit !== undefined && layerLimit > layers.length) {
        throw invalidArgument(
          `layer limit ${layerLimit} is greater than the number of layers in the image ${layers.length}`,
        );
      }
      return opened;
    } finally {
      context.progress.status({ id, current: 0, started, completed: nowNs() });
    }
  }

  async cacheKey(context: JobContext, index: number): Promise<SourceKey> {
    const { manifests } = await this.#open(context);
    const { layerLimit } = this.#options;
    const platform = normalizePlatform(this.#options.platform);
    const first = manifestKey(manifests.root.digest, platform, layerLimit);
    const key = index === 0 ? first : (configKey(manifests, platform, layerLimit) ?? first);
    return { key, pin: manifests.root.digest, done: index > 0 };
  }

  facts(pin: string): StepFacts {
    const { ref, platform, local } = this.#options;
    return { materials: [{ kind: 'image', ref, platform, digest: parseDigest(pin), local }] };
  }

  /** Layers are downloaded when somebody looks into them. */
  async snapshot(context: JobContext): Promise<ImmutableRef | undefined> {
    const { manifests, origin, ref } = await this.#open(context);
    const { accessor, recordType, layerLimit } = this.#options;
    let current: ImmutableRef | undefined;
    for (const layer of manifests.layers.slice(0, layerLimit)) {
      const parent = current;
      try {
        current = await accessor.fromBlob(layer, parent, {
          provider: origin,
          imageRefs: [ref],
          system: this.#options.platform.os === 'windows' ? 'windows' : 'linux',
          description: `pulled from ${ref}`,
          ...(recordType === undefined ? {} : { recordType }),
        });
      } finally {
        await parent?.release();
      }
    }
    return current;
  }
}
