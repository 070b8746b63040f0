import { encodeStatement, STATEMENT_MEDIA_TYPE } from '../../attest/index.ts';
import type { Statement } from '../../attest/index.ts';
import { digestOf, MediaType } from '../../oci/index.ts';
import type { Descriptor, Digest, Platform } from '../../oci/types.ts';
import { encodeGoJson } from '../go-json.ts';
import { encodeManifest } from '../manifest-json.ts';

export const ATTESTATION_PLATFORM: Platform = { os: 'unknown', architecture: 'unknown' };
const ARTIFACT_TYPE = 'application/vnd.docker.attestation.manifest.v1+json';
const EMPTY_CONFIG_TYPE = 'application/vnd.oci.empty.v1+json';

export interface Blob {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** Everything that is to be stored: the manifest last. */
export interface AttestationManifest {
  readonly statements: readonly Blob[];
  readonly config: Blob;
  readonly manifest: Blob;
}

function describe(mediaType: string, bytes: Uint8Array): Blob {
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}

/** image-spec's DescriptorEmptyJSON. */
function emptyConfig(): Blob {
  const bytes = Buffer.from('{}');
  const { descriptor } = describe(EMPTY_CONFIG_TYPE, bytes);
  return { descriptor: { ...descriptor, data: bytes }, bytes };
}

/** For registries that know images only: its layers are the statements. */
function imageConfig(layers: readonly Digest[]): Blob {
  const json = encodeGoJson({
    architecture: ATTESTATION_PLATFORM.architecture,
    os: ATTESTATION_PLATFORM.os,
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.length === 0 ? null : layers },
  });
  return describe(MediaType.ociConfig, Buffer.from(json));
}

/** Statements about an image, as a manifest beside the image's own; with `artifact` one that also points to it. */
export function attestationManifest(
  image: Descriptor,
  statements: readonly Statement[],
  artifact: boolean,
): AttestationManifest {
  const blobs = statements.map((statement) => {
    const { descriptor, bytes } = describe(STATEMENT_MEDIA_TYPE, Buffer.from(encodeStatement(statement)));
    const annotations = { 'in-toto.io/predicate-type': statement.predicateType };
    return { descriptor: { ...descriptor, annotations }, bytes };
  });
  const layers = blobs.map((blob) => blob.descriptor);
  const config = artifact ? emptyConfig() : imageConfig(layers.map((layer) => layer.digest));
  const { mediaType, digest, size } = image;
  const bytes = encodeManifest({
    mediaType: MediaType.ociManifest,
    config: config.descriptor,
    layers,
    annotations: {},
    ...(artifact ? { artifactType: ARTIFACT_TYPE, subject: { mediaType, digest, size } } : {}),
  });
  const manifest = describe(MediaType.ociManifest, bytes);
  const annotations = {
    'vnd.docker.reference.digest': digest,
    'vnd.docker.reference.type': 'attestation-manifest',
  };
  return {
    statements: blobs,
    config,
    manifest: { bytes, descriptor: { ...manifest.descriptor, annotations, platform: ATTESTATION_PLATFORM } },
  };
}
