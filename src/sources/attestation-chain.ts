/** What is attested of an image in a registry, and who signed that: for policies and frontends that check it. */
import { BuildError, Code, invalidArgument, notFound, wrapError } from '../base/index.ts';
import { readBlob } from '../content/index.ts';
import {
  defaultPlatform,
  digestOf,
  formatPlatform,
  isManifestType,
  MediaType,
  parseIndex,
  parseManifest,
  platformMatcher,
} from '../oci/index.ts';
import type { Descriptor, Digest, Platform } from '../oci/types.ts';
import type { AttestationChain } from '../llb/index.ts';
import type { ImageOrigin } from './image-origin.ts';

/** What goes into one answer; a message holds 16 MiB. */
const MAX_BYTES = 12 * 2 ** 20;
/** Preferred first. */
const SIGNATURES = ['application/vnd.dev.sigstore.bundle.v0.3+json', 'application/vnd.dev.cosign.artifact.sig.v1+json'];

export interface ChainRequest {
  readonly root: Descriptor;
  readonly origin: ImageOrigin;
  readonly platform: Platform | undefined;
  /** Of statements whose text is wanted too. */
  readonly predicateTypes: readonly string[];
  readonly referrers: (digest: Digest) => Promise<readonly Descriptor[]>;
  readonly signal: AbortSignal;
}

function imageOf(manifests: readonly Descriptor[], platform: Platform): Descriptor {
  const matcher = platformMatcher(platform);
  const rank = ({ platform: p }: Descriptor): number => (p === undefined ? Infinity : (matcher.rank(p) ?? NaN));
  const [best] = manifests
    .filter((m) => isManifestType(m.mediaType) && !Number.isNaN(rank(m)))
    .toSorted((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
  if (best === undefined) throw notFound(`no manifest for platform ${formatPlatform(platform)}: not found`);
  return best;
}

class ChainBlobs {
  readonly found = new Map<Digest, { readonly descriptor: Descriptor; readonly bytes: Uint8Array }>();
  readonly #request: ChainRequest;
  #bytes = 0;

  constructor(request: ChainRequest) {
    this.#request = request;
  }

  async add(descriptor: Descriptor): Promise<Uint8Array> {
    const { digest } = descriptor;
    const known = this.found.get(digest);
    if (known !== undefined) return known.bytes;
    const { origin, signal } = this.#request;
    let bytes: Uint8Array;
    try {
      bytes = await readBlob(origin, descriptor, { limit: MAX_BYTES - this.#bytes, signal });
    } catch (error) {
      throw wrapError(error, `reading blob ${digest}`);
    }
    if (digestOf(bytes) !== digest) throw new BuildError(Code.FailedPrecondition, `digest mismatch for blob ${digest}`);
    this.#bytes += bytes.length;
    this.found.set(digest, { descriptor, bytes });
    return bytes;
  }
}

/** undefined: an image without an index has no attestations beside it. */
export async function resolveAttestationChain(request: ChainRequest): Promise<AttestationChain | undefined> {
  const { root, platform = defaultPlatform(), predicateTypes, referrers } = request;
  if (root.mediaType !== MediaType.ociIndex) return undefined;
  const blobs = new ChainBlobs(request);
  const index = parseIndex(await blobs.add(root));
  const image = imageOf(index.manifests, platform);
  const attestation = index.manifests.find(
    ({ annotations = {} }) =>
      annotations['vnd.docker.reference.type'] === 'attestation-manifest' &&
      annotations['vnd.docker.reference.digest'] === image.digest,
  );
  const chain = { root: root.digest, imageManifest: image.digest, signatureManifests: [], blobs: blobs.found };
  if (attestation === undefined) return chain;
  if (!isManifestType(attestation.mediaType)) throw invalidArgument(`${attestation.digest} is no manifest`);
  const manifest = parseManifest(await blobs.add(attestation));
  const [signature] = (await referrers(attestation.digest))
    .filter(({ artifactType = '' }) => SIGNATURES.includes(artifactType))
    .toSorted((a, b) => SIGNATURES.indexOf(a.artifactType ?? '') - SIGNATURES.indexOf(b.artifactType ?? ''));
  if (signature !== undefined) {
    for (const layer of parseManifest(await blobs.add(signature)).layers) await blobs.add(layer);
  }
  for (const layer of manifest.layers) {
    if (predicateTypes.includes(layer.annotations?.['in-toto.io/predicate-type'] ?? '')) await blobs.add(layer);
  }
  const signatureManifests = signature === undefined ? [] : [signature.digest];
  return { ...chain, attestationManifest: attestation.digest, signatureManifests };
}
