import type { CompressionType } from './types.ts';

export const MediaType = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  ociForeignLayer: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
  ociForeignLayerGzip: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  ociForeignLayerZstd: 'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
  dockerForeignLayer: 'application/vnd.docker.image.rootfs.foreign.diff.tar',
  dockerForeignLayerGzip: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  dockerForeignLayerZstd: 'application/vnd.docker.image.rootfs.foreign.diff.tar.zstd',
  dockerSchema1: 'application/vnd.docker.distribution.manifest.v1+json',
  dockerSchema1Signed: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
  inToto: 'application/vnd.in-toto+json',
} as const;

/** Docker's name beside OCI's, for every kind of which both have one. */
const PAIRS: ReadonlyArray<readonly [docker: string, oci: string]> = [
  [MediaType.dockerIndex, MediaType.ociIndex],
  [MediaType.dockerManifest, MediaType.ociManifest],
  [MediaType.dockerConfig, MediaType.ociConfig],
  [MediaType.dockerLayer, MediaType.ociLayer],
  [MediaType.dockerLayerGzip, MediaType.ociLayerGzip],
  [MediaType.dockerLayerZstd, MediaType.ociLayerZstd],
  [MediaType.dockerForeignLayer, MediaType.ociForeignLayer],
  [MediaType.dockerForeignLayerGzip, MediaType.ociForeignLayerGzip],
  [MediaType.dockerForeignLayerZstd, MediaType.ociForeignLayerZstd],
];
const TO_OCI = new Map<string, string>(PAIRS);
const TO_DOCKER = new Map<string, string>(PAIRS.map(([docker, oci]) => [oci, docker]));

/** Unknown types stay what they are. */
export function toOciMediaType(mediaType: string): string {
  return TO_OCI.get(mediaType) ?? mediaType;
}

export function toDockerMediaType(mediaType: string): string {
  return TO_DOCKER.get(mediaType) ?? mediaType;
}

export function isIndexType(mediaType: string): boolean {
  return toOciMediaType(mediaType) === MediaType.ociIndex;
}

export function isManifestType(mediaType: string): boolean {
  return toOciMediaType(mediaType) === MediaType.ociManifest;
}

export function isConfigType(mediaType: string): boolean {
  return toOciMediaType(mediaType) === MediaType.ociConfig;
}

const LAYER = /^application\/vnd\.oci\.image\.layer\.(nondistributable\.)?v1\.tar(?:\+(gzip|zstd))?$/;

export function isLayerType(mediaType: string): boolean {
  return LAYER.test(toOciMediaType(mediaType));
}

/** Layers that may not be pushed to other registries. */
export function isForeignLayerType(mediaType: string): boolean {
  return LAYER.exec(toOciMediaType(mediaType))?.[1] !== undefined;
}

/** How a layer of that media type is compressed; undefined when it is no layer type. */
export function compressionOf(mediaType: string): CompressionType | undefined {
  const found = LAYER.exec(toOciMediaType(mediaType));
  if (found === null) return undefined;
  return (found[2] as 'gzip' | 'zstd' | undefined) ?? 'uncompressed';
}

/** The OCI layer type of a compression. */
export function layerMediaType(compression: CompressionType, options: { foreign?: boolean } = {}): string {
  const kind = options.foreign ? 'nondistributable.v1' : 'v1';
  const suffix = compression === 'uncompressed' ? '' : compression === 'zstd' ? '+zstd' : '+gzip';
  return `application/vnd.oci.image.layer.${kind}.tar${suffix}`;
}
