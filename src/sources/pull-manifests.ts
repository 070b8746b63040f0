/** From an image's root descriptor to the layers and config for one platform. Only manifests and the config are read. */
import { BuildError, Code, invalidArgument, logger, notFound } from '../base/index.ts';
import type { ContentStore } from '../content/types.ts';
import {
  configDiffIds,
  digestOf,
  isIndexType,
  isLayerType,
  isManifestType,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  MediaType,
  parseImageConfig,
  parseIndex,
  parseManifest,
  platformMatcher,
} from '../oci/index.ts';
import type { Descriptor, ImageConfig, Platform } from '../oci/index.ts';
import type { ImageOrigin } from './image-origin.ts';

export interface PulledManifests {
  /** What the reference names: an index or a manifest. */
  readonly root: Descriptor;
  readonly manifest: Descriptor;
  readonly configBytes: Uint8Array;
  /** undefined: not an image's config. */
  readonly config: ImageConfig | undefined;
  /** From base to top, each with its diff id as the annotation containerd.io/uncompressed. */
  readonly layers: readonly Descriptor[];
}

const MAX_DEPTH = 4;

async function readStored(content: ContentStore, descriptor: Descriptor): Promise<Uint8Array | undefined> {
  if ((await content.info(descriptor.digest)) === undefined) return undefined;
  const reader = await content.reader(descriptor);
  try {
    if (reader.size !== descriptor.size) return undefined;
    return await reader.read(0, reader.size);
  } finally {
    await reader.close();
  }
}

async function keep(
  content: ContentStore,
  descriptor: Descriptor,
  bytes: Uint8Array,
  label: ImageOrigin['label'],
): Promise<void> {
  try {
    const writer = await content.writer(`manifest-${descriptor.digest}`);
    try {
      await writer.write(bytes);
      const labels = new Map([
        ['buildkit.io/blob/mediatype', descriptor.mediaType],
        ...(label === undefined ? [] : [label]),
      ]);
      await writer.commit({ digest: descriptor.digest, size: bytes.length, labels });
    } catch (error) {
      await writer.abort();
      throw error;
    }
  } catch (error) {
    // It is there for the next build only.
    logger.debug('manifest was not kept', { digest: descriptor.digest, error });
  }
}

/** From the store when it is there, else from the origin, checked and kept. */
export async function readPart(
  content: ContentStore,
  origin: ImageOrigin,
  descriptor: Descriptor,
  limit: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (descriptor.size > limit)
    throw new BuildError(Code.ResourceExhausted, `rejecting ${descriptor.size} byte blob ${descriptor.digest}`);
  const stored = await readStored(content, descriptor);
  if (stored !== undefined) return stored;
  const reader = await origin.reader(descriptor, signal);
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of reader.stream()) {
      size += part.length;
      if (size > limit)
        throw new BuildError(Code.ResourceExhausted, `${descriptor.digest} is larger than ${limit} bytes`);
      parts.push(part);
    }
  } finally {
    await reader.close();
  }
  const bytes = Buffer.concat(parts);
  if (bytes.length !== descriptor.size) {
    throw new BuildError(
      Code.FailedPrecondition,
      `unexpected commit size ${bytes.length}, expected ${descriptor.size}`,
    );
  }
  const digest = digestOf(bytes);
  if (digest !== descriptor.digest) {
    throw new BuildError(Code.FailedPrecondition, `unexpected commit digest ${digest}, expected ${descriptor.digest}`);
  }
  await keep(content, descriptor, bytes, origin.label);
  return bytes;
}

/** The manifest for the platform; undefined: the index has none. */
async function choose(
  content: ContentStore,
  origin: ImageOrigin,
  root: Descriptor,
  platform: Platform,
  signal: AbortSignal | undefined,
): Promise<Descriptor | undefined> {
  const matcher = platformMatcher(platform);
  let current = root;
  for (let depth = 0; isIndexType(current.mediaType); depth++) {
    if (depth >= MAX_DEPTH) throw invalidArgument(`indexes nested more than ${MAX_DEPTH} deep`);
    const index = parseIndex(await readPart(content, origin, current, MAX_MANIFEST_BYTES, signal));
    const ranked = index.manifests
      .filter((m) => isManifestType(m.mediaType) || isIndexType(m.mediaType))
      .map((m) => ({ m, rank: m.platform === undefined ? Number.MAX_SAFE_INTEGER : matcher.rank(m.platform) }))
      .filter((r): r is { m: Descriptor; rank: number } => r.rank !== undefined)
      .sort((a, b) => a.rank - b.rank);
    if (ranked.length === 0) return undefined;
    current = ranked[0].m;
  }
  return current;
}

function describeLayers(layers: readonly Descriptor[], config: ImageConfig | undefined): Descriptor[] {
  const found = layers.filter((l) => isLayerType(l.mediaType));
  const diffIds = config === undefined ? [] : configDiffIds(config);
  if (found.length !== diffIds.length) {
    throw invalidArgument(
      `mismatched image rootfs and manifest layers: ${diffIds.length} diff ids, ${found.length} layers`,
    );
  }
  return found.map((l, i) => {
    const { platform: _, data: __, ...rest } = l;
    return { ...rest, annotations: { ...l.annotations, 'containerd.io/uncompressed': diffIds[i] } };
  });
}

/** Throws NotFound when no manifest matches the platform. */
export async function pullManifests(
  content: ContentStore,
  origin: ImageOrigin,
  root: Descriptor,
  platform: Platform,
  signal?: AbortSignal,
): Promise<PulledManifests> {
  if (root.mediaType === MediaType.dockerSchema1 || root.mediaType === MediaType.dockerSchema1Signed) {
    throw invalidArgument('schema 1 image manifests are no longer supported');
  }
  const manifestDescriptor = await choose(content, origin, root, platform, signal);
  if (manifestDescriptor === undefined) throw notFound('no match for platform in manifest: not found');
  if (!isManifestType(manifestDescriptor.mediaType))
    throw invalidArgument(`unexpected media type ${manifestDescriptor.mediaType} for ${root.digest}`);
  const manifest = parseManifest(await readPart(content, origin, manifestDescriptor, MAX_MANIFEST_BYTES, signal));
  const configBytes = await readPart(content, origin, manifest.config, MAX_CONFIG_BYTES, signal);
  const config = manifest.layers.length === 0 ? tryConfig(configBytes) : parseImageConfig(configBytes);
  const { platform: _, ...descriptor } = manifestDescriptor;
  return { root, manifest: descriptor, configBytes, config, layers: describeLayers(manifest.layers, config) };
}

function tryConfig(bytes: Uint8Array): ImageConfig | undefined {
  try {
    return parseImageConfig(bytes);
  } catch {
    return undefined;
  }
}
