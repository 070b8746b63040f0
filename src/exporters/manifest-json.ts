import type { Descriptor, Platform } from '../oci/types.ts';
import { encodeGoJson } from './go-json.ts';
import type { JsonValue } from './go-json.ts';

/** Manifests and descriptors in the field order of image-spec's Go structs: their digests depend on it. */

type StringMap = ReadonlyMap<string, string> | Readonly<Record<string, string>>;

function annotationsJson(annotations: StringMap | undefined): JsonValue | undefined {
  if (annotations === undefined) return undefined;
  const entries = annotations instanceof Map ? [...annotations] : Object.entries(annotations as Record<string, string>);
  return entries.length === 0 ? undefined : new Map(entries);
}

function platformJson(platform: Platform | undefined): JsonValue | undefined {
  if (platform === undefined) return undefined;
  return {
    architecture: platform.architecture,
    os: platform.os,
    'os.version': platform.osVersion || undefined,
    'os.features': (platform.osFeatures?.length ?? 0) === 0 ? undefined : platform.osFeatures,
    variant: platform.variant || undefined,
  };
}

export function descriptorJson(d: Descriptor): JsonValue {
  return {
    mediaType: d.mediaType,
    digest: d.digest,
    size: d.size,
    urls: (d.urls?.length ?? 0) === 0 ? undefined : d.urls,
    annotations: annotationsJson(d.annotations),
    data: d.data === undefined || d.data.length === 0 ? undefined : Buffer.from(d.data).toString('base64'),
    platform: platformJson(d.platform),
    artifactType: d.artifactType || undefined,
  };
}

export function encodeManifest(manifest: {
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations: StringMap;
  readonly artifactType?: string;
  readonly subject?: Descriptor;
}): Uint8Array {
  const { mediaType, config, layers, annotations, artifactType, subject } = manifest;
  const json: JsonValue = {
    schemaVersion: 2,
    mediaType,
    artifactType,
    config: descriptorJson(config),
    // A nil slice in Go.
    layers: layers.length === 0 ? null : layers.map(descriptorJson),
    subject: subject && descriptorJson(subject),
    annotations: annotationsJson(annotations),
  };
  return Buffer.from(encodeGoJson(json, true));
}

export function encodeIndex(
  index: { readonly mediaType: string; readonly manifests: readonly Descriptor[]; readonly annotations?: StringMap },
  indent = true,
): Uint8Array {
  const { mediaType, manifests, annotations } = index;
  const json: JsonValue = {
    schemaVersion: 2,
    mediaType,
    manifests: manifests.map(descriptorJson),
    annotations: annotationsJson(annotations),
  };
  return Buffer.from(encodeGoJson(json, indent));
}
