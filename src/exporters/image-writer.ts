import { digestMap, imagePurl } from '../attest/index.ts';
import { BuildError, Code, formatTime, logger, mapConcurrent, oneLine, wrapError } from '../base/index.ts';
import type { ContentProvider, ContentStore } from '../content/types.ts';
import {
  compressionOf,
  defaultPlatform,
  digestOf,
  MediaType,
  toDockerMediaType,
  toOciMediaType,
} from '../oci/index.ts';
import type { Descriptor, Digest } from '../oci/types.ts';
import type { ImmutableRef, Remote, StorageContext } from '../storage/types.ts';
import { rewriteTimestamps } from '../storage/index.ts';
import type { PlatformAnnotations } from './annotations.ts';
import { forFiles } from './attestations/attestation.ts';
import type { Attestation } from './attestations/attestation.ts';
import { attestationManifest } from './attestations/attestation-manifest.ts';
import { statementsOf } from './attestations/statements.ts';
import { supplementSbom } from './attestations/supplement-sbom.ts';
import { unbundle } from './attestations/unbundle.ts';
import { completeHistory } from './history.ts';
import { defaultImageConfig, parseImageConfig, patchImageConfig } from './image-config.ts';
import type { ParsedConfig } from './image-config.ts';
import { validateImageOptions } from './image-options.ts';
import type { ImageOptions } from './image-options.ts';
import { encodeIndex, encodeManifest } from './manifest-json.ts';
import {
  BASE_CONFIG,
  epochNs,
  epochOf,
  hasPlatform,
  IMAGE_CONFIG,
  isPerPlatform,
  namesOfPlatform,
  platformMetadata,
  platformsOf,
  refOfPlatform,
  requirePlatformMap,
} from './result.ts';
import type { ExportedResult, ResultPlatform } from './result.ts';
import type { ExportContext } from './types.ts';

/** containerd's labels: the uncompressed digest of a layer, and what a manifest's blob refers to (garbage collection). */
const UNCOMPRESSED = 'containerd.io/uncompressed';
/** The epoch that a layer's times were cut to. */
const REWRITTEN = 'buildkit/rewritten-timestamp';
const referenceLabel = (i: number): string => `containerd.io/gc.ref.content.${i}`;

/** An image that is in the content store, or will be once its layers are asked for. */
export interface WrittenImage {
  readonly descriptor: Descriptor;
  /** Of an image for one platform. */
  readonly configDigest?: Digest;
  /** The layers that may not be in the content store yet. */
  readonly provider: ContentProvider;
}

type WriteOptions = ImageOptions & { readonly ociTypes: boolean; readonly inlineAttestations: boolean };

interface ManifestParts {
  readonly ref: ImmutableRef | undefined;
  readonly remote: Remote | undefined;
  readonly platform: ResultPlatform | undefined;
  readonly annotations: PlatformAnnotations;
  readonly epoch: number | undefined;
}

const fail = (text: string): BuildError => new BuildError(Code.Unknown, text);

/** Only what is for more than images asks for an index by itself, unless `inline`. */
function needsIndex(result: ExportedResult, platforms: readonly ResultPlatform[], inline: boolean): boolean {
  return platforms.some(({ id }) => {
    const attestations = result.attestations?.get(id) ?? [];
    return (inline ? attestations : forFiles(attestations)).length > 0;
  });
}

/** Makes layers, configs, manifests and the index of a result (exporter/containerimage/writer.go upstream). */
export class ImageWriter {
  readonly #content: ContentStore;

  constructor(content: ContentStore) {
    this.#content = content;
  }

  async write(result: ExportedResult, options: WriteOptions, context: ExportContext): Promise<WrittenImage> {
    requirePlatformMap(result);
    validateImageOptions(options);
    const platforms = platformsOf(result);
    for (const platform of options.annotations.platforms) {
      if (!hasPlatform(result, platform)) throw fail(`invalid annotation: no platform ${platform} found in source`);
    }
    if (!options.ociTypes && options.annotations.needOci) {
      throw fail('cannot export annotations with "oci-mediatypes=false"');
    }
    const epochFor = (platform: ResultPlatform | undefined): number | undefined =>
      options.epoch === undefined ? epochOf(result, platform?.id) : options.epoch.seconds;

    if (!isPerPlatform(result) && !needsIndex(result, platforms, options.inlineAttestations)) {
      if (platforms.length > 1) throw fail('cannot export multiple platforms without multi-platform enabled');
      const annotations = options.annotations.of([]);
      if (annotations.index.size + annotations.indexDescriptor.size > 0) {
        throw fail('index annotations not supported for single platform export');
      }
      const [platform] = platforms;
      const ref = platform === undefined ? result.ref : refOfPlatform(result, platform.id);
      const [remote] = await this.#layers([ref], options, context);
      const parts = { ref, remote, platform, annotations, epoch: epochFor(platform) };
      const written = await this.#manifest(result, parts, options, context);
      const descriptor =
        platform === undefined ? written.descriptor : { ...written.descriptor, platform: platform.platform };
      return { descriptor, configDigest: written.configDigest, provider: this.#providerOf([written.remote]) };
    }

    if (!options.ociTypes && (result.attestations?.size ?? 0) > 0) {
      throw fail('cannot export attestations with "oci-mediatypes=false"');
    }
    const refs = platforms.map((platform) => refOfPlatform(result, platform.id));
    const remotes = await this.#layers(refs, options, context);
    const manifests: Descriptor[] = [];
    const attested: Descriptor[] = [];
    const written: (Remote | undefined)[] = [];
    for (const [i, platform] of platforms.entries()) {
      const annotations = options.annotations.of(namesOfPlatform(platform));
      const parts = { ref: refs[i], remote: remotes[i], platform, annotations, epoch: epochFor(platform) };
      const manifest = await this.#manifest(result, parts, options, context);
      const described = { ...manifest.descriptor, platform: platform.platform };
      manifests.push(described);
      written.push(manifest.remote);
      const attestations = result.attestations?.get(platform.id);
      if (attestations !== undefined) {
        attested.push(await this.#attest(attestations, described, manifest.remote, options, context));
      }
    }
    manifests.push(...attested);
    const { index, indexDescriptor } = options.annotations.of([]);
    const mediaType = options.ociTypes ? MediaType.ociIndex : MediaType.dockerIndex;
    const bytes = encodeIndex({ mediaType, manifests, annotations: index });
    const labels = new Map(manifests.map((manifest, i) => [referenceLabel(i), manifest.digest as string]));
    const descriptor = withAnnotations(describeBytes(mediaType, bytes), indexDescriptor);
    await oneLine(context.progress, `exporting manifest list ${descriptor.digest}`, () =>
      this.#put(descriptor, bytes, 'error writing manifest list blob', labels),
    );
    return { descriptor, provider: this.#providerOf(written) };
  }

  async #layers(
    refs: readonly (ImmutableRef | undefined)[],
    options: ImageOptions,
    context: ExportContext,
  ): Promise<(Remote | undefined)[]> {
    return await oneLine(context.progress, 'exporting layers', () =>
      mapConcurrent(refs, 4, async (ref) =>
        ref?.remote(options.compression, { create: true, keepForeign: options.keepForeign }, storageContext(context)),
      ),
    );
  }

  #providerOf(remotes: readonly (Remote | undefined)[]): ContentProvider {
    const providers = new Map<string, ContentProvider>();
    for (const remote of remotes) {
      for (const layer of remote?.descriptors ?? []) providers.set(layer.digest, (remote as Remote).provider);
    }
    return {
      reader: (descriptor, signal) => (providers.get(descriptor.digest) ?? this.#content).reader(descriptor, signal),
    };
  }

  async #manifest(
    result: ExportedResult,
    parts: ManifestParts,
    options: WriteOptions,
    context: ExportContext,
  ): Promise<{ descriptor: Descriptor; configDigest: Digest; remote: Remote | undefined }> {
    const { ref, platform, epoch } = parts;
    const given = platformMetadata(result, IMAGE_CONFIG, platform?.id);
    const baseBytes = platformMetadata(result, BASE_CONFIG, platform?.id);
    const base =
      baseBytes === undefined || baseBytes.length === 0
        ? undefined
        : parseImageConfig(baseBytes, 'failed to unmarshal base image config');
    const config = parseImageConfig(
      given === undefined || given.length === 0 ? defaultImageConfig(defaultPlatform()) : given,
      'invalid image config for export',
    );
    let { remote } = parts;
    if (options.rewriteTimestamp) remote = await this.#rewrite(remote, options, base, epoch, context);

    const layers = (remote?.descriptors ?? []).map((layer) => ({
      ...layer,
      mediaType: options.ociTypes ? toOciMediaType(layer.mediaType) : toDockerMediaType(layer.mediaType),
    }));
    const inlineCache =
      ref === undefined || context.inlineCache === undefined
        ? undefined
        : await context.inlineCache(ref, platform?.id ?? '');
    const configBytes = patchImageConfig(config, {
      diffIds: layers.map((layer) => layer.annotations?.[UNCOMPRESSED] ?? ''),
      history: await completeHistory(config.history, layers.length, ref),
      ...(inlineCache === undefined ? {} : { inlineCache }),
      ...(epoch === undefined ? {} : { epoch }),
      ...(base === undefined ? {} : { base }),
    });
    const { ociTypes } = options;
    const configDescriptor = describeBytes(ociTypes ? MediaType.ociConfig : MediaType.dockerConfig, configBytes);
    const mediaType = ociTypes ? MediaType.ociManifest : MediaType.dockerManifest;
    const bytes = encodeManifest({
      mediaType,
      config: configDescriptor,
      layers: layers.map((layer) => publicLayer(layer, ociTypes)),
      annotations: parts.annotations.manifest,
    });
    const descriptor = describeBytes(mediaType, bytes);
    const labels = new Map([configDescriptor, ...layers].map((d, i) => [referenceLabel(i), d.digest as string]));
    await oneLine(context.progress, `exporting manifest ${descriptor.digest}`, () =>
      this.#put(descriptor, bytes, 'error writing manifest blob', labels),
    );
    await oneLine(context.progress, `exporting config ${configDescriptor.digest}`, () =>
      this.#put(configDescriptor, configBytes, 'error writing config blob', new Map()),
    );
    return {
      descriptor: withAnnotations(descriptor, parts.annotations.manifestDescriptor),
      configDigest: configDescriptor.digest,
      remote,
    };
  }

  /** What is attested of one platform's image; resolves to the manifest that says so. */
  async #attest(
    attestations: readonly Attestation[],
    image: Descriptor,
    layers: Remote | undefined,
    options: WriteOptions,
    context: ExportContext,
  ): Promise<Descriptor> {
    const names = options.name.split(',').filter((name) => name !== '');
    const self = names.map((name) => ({
      name: imagePurl('docker', name, image.platform),
      digest: digestMap([image.digest]),
    }));
    const single = await unbundle(attestations);
    const searched = layers && { layers, windows: image.platform?.os === 'windows' };
    const supplemented = await mapConcurrent(single, 4, (one) =>
      supplementSbom(one, searched, this.#content, context.signal),
    );
    const statements = await statementsOf(supplemented, self);
    const artifact = options.ociArtifact ?? options.ociTypes;
    const { manifest, config, statements: blobs } = attestationManifest(image, statements, artifact);
    for (const { descriptor, bytes } of blobs) {
      await this.#put(descriptor, bytes, 'error writing data blob', new Map());
    }
    const { digest } = manifest.descriptor;
    const parts = [config, ...blobs].map((blob, i): [string, string] => [referenceLabel(i), blob.descriptor.digest]);
    await oneLine(context.progress, `exporting attestation manifest ${digest}`, async () => {
      await this.#put(manifest.descriptor, manifest.bytes, 'error writing manifest blob', new Map(parts));
      await this.#put(config.descriptor, config.bytes, 'error writing config blob', new Map());
    });
    return manifest.descriptor;
  }

  async #put(
    descriptor: Descriptor,
    bytes: Uint8Array,
    what: string,
    labels: ReadonlyMap<string, string>,
  ): Promise<void> {
    try {
      // Another build may be writing the same bytes: the name of the write is no lock here.
      const writer = await this.#content.writer(`${descriptor.digest}-${process.hrtime.bigint()}`);
      try {
        await writer.write(bytes);
        await writer.commit({ digest: descriptor.digest, size: bytes.length, labels });
      } finally {
        await writer.abort();
      }
    } catch (error) {
      throw wrapError(error, `${what} ${descriptor.digest}`);
    }
  }

  /** Layers that this build made, with all times cut to the epoch. Those of the base image stay as they are. */
  async #rewrite(
    remote: Remote | undefined,
    options: ImageOptions,
    base: ParsedConfig | undefined,
    epoch: number | undefined,
    context: ExportContext,
  ): Promise<Remote | undefined> {
    if (epoch === undefined) {
      logger.warn('rewrite-timestamp is specified, but no source-date-epoch was found');
      return remote;
    }
    if (remote === undefined) return undefined;
    const { descriptors, provider } = remote;
    const diffIds = base?.diffIds ?? [];
    const own = descriptors.findIndex(
      (layer, i) => diffIds[i] === undefined || diffIds[i] !== layer.annotations?.[UNCOMPRESSED],
    );
    const kept = own < 0 ? descriptors.length : own;
    const shown = formatTime(epochNs(epoch)).replace('T', ' ').replace('Z', ' +0000 UTC');
    const rewritten = await oneLine(
      context.progress,
      `rewriting layers with source-date-epoch ${epoch} (${shown})`,
      () =>
        mapConcurrent(descriptors, 2, async (layer, i) => {
          if (i < kept || layer.annotations?.[REWRITTEN] === String(epoch)) return layer;
          try {
            return await this.#rewriteLayer(layer, provider, options, epoch, context);
          } catch (error) {
            if (context.signal.aborted) throw error;
            logger.warn(
              `failed to rewrite layer ${i + 1}/${descriptors.length} to match source-date-epoch ${epoch} (${shown})`,
              { error },
            );
            return layer;
          }
        }),
    );
    return { descriptors: rewritten, provider: this.#providerOf([remote]) };
  }

  async #rewriteLayer(
    layer: Descriptor,
    provider: ContentProvider,
    options: ImageOptions,
    epoch: number,
    context: ExportContext,
  ): Promise<Descriptor> {
    // A reader brings a lazy layer into the content store.
    const reader = await provider.reader(layer, context.signal);
    await reader.close();
    const path = this.#content.temporaryPath();
    const written = await rewriteTimestamps(
      {
        source: this.#content.pathOf(layer.digest),
        path,
        compression: { ...options.compression, type: compressionOf(layer.mediaType) ?? 'uncompressed' },
        clampMtimeNs: epochNs(epoch),
      },
      { signal: context.signal },
    );
    const { digest, size, diffId } = written;
    await this.#content.adopt(path, { digest, size, labels: new Map([[UNCOMPRESSED, diffId as string]]) });
    const annotations = { ...layer.annotations, [UNCOMPRESSED]: diffId, [REWRITTEN]: String(epoch) };
    return { ...layer, digest, size, annotations };
  }
}

export function storageContext(context: ExportContext): StorageContext {
  const sessions = context.sessionId === '' ? [] : [context.sessionId];
  return { signal: context.signal, progress: context.progress, sessions: () => sessions };
}

export function describeBytes(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function withAnnotations(descriptor: Descriptor, annotations: ReadonlyMap<string, string>): Descriptor {
  return annotations.size === 0 ? descriptor : { ...descriptor, annotations: Object.fromEntries(annotations) };
}

/** A layer as manifests list it: annotations for use inside are left out, and Docker's media types have none. */
function publicLayer(layer: Descriptor, oci: boolean): Descriptor {
  const { annotations = {}, ...rest } = layer;
  if (!oci) return rest;
  const kept = Object.entries(annotations).filter(
    ([key]) =>
      key !== UNCOMPRESSED && key !== 'buildkit/createdat' && !key.startsWith('containerd.io/distribution.source.'),
  );
  return { ...rest, annotations: Object.fromEntries(kept) };
}
