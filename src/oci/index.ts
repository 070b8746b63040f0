/**
 * Values of container images: digests, descriptors, manifests, configs, platforms, references, and JSON as Go writes it. In come
 * texts and bytes that nobody has checked, out go checked values or typed errors. Deliberately absent: where the bytes come from.
 */
export type * from './types.ts';
export { chainId, DigestHasher, digestOf, isDigest, parseChecksum, parseDigest } from './digest.ts';
export { goJson, goJsonBytes } from './go-json.ts';
export type { GoJsonValue } from './go-json.ts';
export { compactJson, indentJson } from './json-text.ts';
export {
  checkOsVersion,
  defaultPlatform,
  formatPlatform,
  formatPlatformShort,
  normalizePlatform,
  parsePlatform,
  parsePlatforms,
  samePlatform,
} from './platform.ts';
export { compatiblePlatforms, platformMatcher } from './platform-match.ts';
export type { PlatformMatcher } from './platform-match.ts';
export {
  familiarReference,
  formatReference,
  normalizeReference,
  parseDockerReference,
  parseReference,
  referenceName,
  withDefaultTag,
  withDigest,
  withTag,
} from './reference.ts';
export type { Reference } from './reference.ts';
export {
  compressionOf,
  isConfigType,
  isForeignLayerType,
  isIndexType,
  isLayerType,
  isManifestType,
  layerMediaType,
  MediaType,
  toDockerMediaType,
  toOciMediaType,
} from './media-types.ts';
export {
  detectManifestType,
  MAX_CONFIG_BYTES,
  MAX_LAYERS,
  MAX_MANIFEST_BYTES,
  parseDescriptor,
  parseIndex,
  parseManifest,
} from './manifest.ts';
export { configDiffIds, configPlatform, parseImageConfig } from './image-config.ts';
export type { ContainerConfig, HealthConfig, HistoryEntry, ImageConfig } from './image-config.ts';
