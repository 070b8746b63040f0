/** Manifests, indexes and image configs that come from registries, archives and clients: nothing in them is believed unchecked. */
import { BuildError, Code, invalidArgument } from '../base/index.ts';
import { parseDigest } from './digest.ts';
import { isIndexType, isManifestType, MediaType } from './media-types.ts';
import type { Descriptor, Index, Manifest, Platform } from './types.ts';

/** Bytes of one manifest or index, as containerd bounds them. */
export const MAX_MANIFEST_BYTES = 8 * 1024 * 1024;
/** Bytes of one image config. */
export const MAX_CONFIG_BYTES = 8 * 1024 * 1024;
/** Entries of one index; layers of one manifest. */
export const MAX_MANIFESTS = 4096;
export const MAX_LAYERS = 1024;

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function optionalText(json: Json, key: string, what: string): string | undefined {
  const value = json[key];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw invalidArgument(`invalid ${what}: ${key} is not a string`);
  return value;
}

function stringList(value: unknown, what: string): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || value.some((v) => typeof v !== 'string'))
    throw invalidArgument(`invalid ${what}: not a list of strings`);
  return value as string[];
}

function annotations(value: unknown, what: string): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value) || Object.values(value).some((v) => typeof v !== 'string')) {
    throw invalidArgument(`invalid ${what}: annotations are not strings`);
  }
  return { ...(value as Record<string, string>) };
}

function parseJson(bytes: Uint8Array, what: string, limit: number): Json {
  if (bytes.length > limit)
    throw new BuildError(
      Code.ResourceExhausted,
      `${what} of ${bytes.length} bytes is larger than the limit of ${limit}`,
    );
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalidArgument(`failed to unmarshal ${what}: ${(error as Error).message}`, { cause: error });
  }
  if (!isObject(value)) throw invalidArgument(`failed to unmarshal ${what}: not an object`);
  return value;
}

export function parseJsonPlatform(value: unknown): Platform | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw invalidArgument('invalid platform: not an object');
  const variant = optionalText(value, 'variant', 'platform');
  const osVersion = optionalText(value, 'os.version', 'platform');
  const osFeatures = stringList(value['os.features'], 'platform features');
  return {
    os: optionalText(value, 'os', 'platform') ?? '',
    architecture: optionalText(value, 'architecture', 'platform') ?? '',
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { osVersion }),
    ...(osFeatures === undefined ? {} : { osFeatures }),
  };
}

/** Throws InvalidArgument. */
export function parseDescriptor(value: unknown, what = 'descriptor'): Descriptor {
  if (!isObject(value)) throw invalidArgument(`invalid ${what}: not an object`);
  if (typeof value.digest !== 'string') throw invalidArgument(`invalid ${what}: no digest`);
  if (typeof value.size !== 'number' || !Number.isSafeInteger(value.size) || value.size < 0) {
    throw invalidArgument(`invalid ${what}: invalid size ${String(value.size)}`);
  }
  const urls = stringList(value.urls, `${what} urls`);
  const notes = annotations(value.annotations, what);
  const data = optionalText(value, 'data', what);
  const platform = parseJsonPlatform(value.platform);
  const artifactType = optionalText(value, 'artifactType', what);
  return {
    mediaType: optionalText(value, 'mediaType', what) ?? '',
    digest: parseDigest(value.digest),
    size: value.size,
    ...(urls === undefined ? {} : { urls }),
    ...(notes === undefined ? {} : { annotations: notes }),
    ...(data === undefined ? {} : { data: Buffer.from(data, 'base64') }),
    ...(platform === undefined ? {} : { platform }),
    ...(artifactType === undefined ? {} : { artifactType }),
  };
}

function descriptors(value: unknown, what: string, limit: number): Descriptor[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalidArgument(`invalid ${what}: not a list`);
  if (value.length > limit)
    throw new BuildError(Code.ResourceExhausted, `${value.length} ${what} are more than the limit of ${limit}`);
  return value.map((v) => parseDescriptor(v, what));
}

function common(json: Json, what: string): Pick<Manifest, 'mediaType' | 'artifactType' | 'subject' | 'annotations'> {
  const mediaType = optionalText(json, 'mediaType', what);
  const artifactType = optionalText(json, 'artifactType', what);
  const notes = annotations(json.annotations, what);
  const subject =
    json.subject === undefined || json.subject === null ? undefined : parseDescriptor(json.subject, `${what} subject`);
  return {
    ...(mediaType === undefined ? {} : { mediaType }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined ? {} : { subject }),
    ...(notes === undefined ? {} : { annotations: notes }),
  };
}

/** Throws InvalidArgument: not JSON, an index, schema 1, descriptors that are none. */
export function parseManifest(bytes: Uint8Array): Manifest {
  const json = parseJson(bytes, 'manifest', MAX_MANIFEST_BYTES);
  const rest = common(json, 'manifest');
  if (json.manifests !== undefined || (rest.mediaType !== undefined && isIndexType(rest.mediaType))) {
    throw invalidArgument('invalid manifest: expected a manifest but found an index');
  }
  if (json.fsLayers !== undefined || json.schemaVersion === 1)
    throw invalidArgument('schema 1 image manifests are no longer supported');
  return {
    schemaVersion: 2,
    ...rest,
    config: parseDescriptor(json.config, 'manifest config'),
    layers: descriptors(json.layers, 'layers', MAX_LAYERS),
  };
}

/** Throws InvalidArgument. */
export function parseIndex(bytes: Uint8Array): Index {
  const json = parseJson(bytes, 'index', MAX_MANIFEST_BYTES);
  const rest = common(json, 'index');
  if (
    json.config !== undefined ||
    json.layers !== undefined ||
    (rest.mediaType !== undefined && isManifestType(rest.mediaType))
  ) {
    throw invalidArgument('invalid index: expected an index but found a manifest');
  }
  return { schemaVersion: 2, ...rest, manifests: descriptors(json.manifests, 'manifests', MAX_MANIFESTS) };
}

/** Whether bytes without a known media type are an index or a manifest. */
export function detectManifestType(bytes: Uint8Array): string {
  const json = parseJson(bytes, 'manifest', MAX_MANIFEST_BYTES);
  if (typeof json.mediaType === 'string' && json.mediaType !== '') return json.mediaType;
  if (json.schemaVersion === 1 || json.fsLayers !== undefined) return MediaType.dockerSchema1Signed;
  if (json.manifests !== undefined) return MediaType.ociIndex;
  return MediaType.ociManifest;
}

export { parseJson as parseJsonObject };
