import assert from 'node:assert/strict';
import test from 'node:test';
import { bytesReader } from '../content/index.ts';
import { digestOf, goJsonBytes, MediaType } from '../oci/index.ts';
import type { GoJsonValue } from '../oci/index.ts';
import type { Descriptor, Digest } from '../oci/types.ts';
import { resolveAttestationChain } from './attestation-chain.ts';
import type { ChainRequest } from './attestation-chain.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const SIGNATURE = 'application/vnd.dev.cosign.artifact.sig.v1+json';
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

class Blobs {
  readonly #bytes = new Map<string, Uint8Array>();
  readonly asked: string[] = [];

  add(mediaType: string, content: GoJsonValue): Descriptor {
    const bytes = goJsonBytes(content);
    const digest = digestOf(bytes);
    this.#bytes.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  spoil(digest: Digest): void {
    this.#bytes.set(digest, Buffer.from('{}'));
  }

  readonly origin: ChainRequest['origin'] = {
    origin: '{}',
    reader: (descriptor) => {
      this.asked.push(descriptor.digest);
      return Promise.resolve(bytesReader(this.#bytes.get(descriptor.digest) ?? Buffer.alloc(0)));
    },
  };
}

const wire = ({ digest, size, mediaType, annotations, platform }: Descriptor): GoJsonValue => ({
  mediaType,
  digest,
  size,
  annotations: annotations && new Map(Object.entries(annotations)),
  platform: platform && { ...platform, osFeatures: undefined },
});

function makeImage(blobs: Blobs) {
  const config = blobs.add(MediaType.ociConfig, {});
  const manifest = (layers: readonly Descriptor[]): Descriptor =>
    blobs.add(MediaType.ociManifest, { schemaVersion: 2, config: wire(config), layers: layers.map(wire) });
  const image = manifest([blobs.add(MediaType.ociLayer, 'layer')]);
  const statement = (type: string): Descriptor => ({
    ...blobs.add('application/vnd.in-toto+json', { type }),
    annotations: { 'in-toto.io/predicate-type': type },
  });
  const statements = [statement('a'), statement('b')];
  const attestation = manifest(statements);
  const annotations = {
    'vnd.docker.reference.type': 'attestation-manifest',
    'vnd.docker.reference.digest': image.digest,
  };
  const root = blobs.add(MediaType.ociIndex, {
    schemaVersion: 2,
    manifests: [
      wire({ ...image, platform: amd64 }),
      wire({ ...attestation, annotations, platform: { os: 'unknown', architecture: 'unknown' } }),
    ],
  });
  const proof = blobs.add('application/json', 'signature');
  return { image, statements, attestation, root, proof, signature: manifest([proof]) };
}

const request = (blobs: Blobs, root: Descriptor, more: Partial<ChainRequest> = {}): ChainRequest => ({
  root,
  origin: blobs.origin,
  platform: amd64,
  predicateTypes: [],
  referrers: async () => [],
  signal: new AbortController().signal,
  ...more,
});

void test('from the index to what is attested, with the statements that are wanted and the better signature', async () => {
  const blobs = new Blobs();
  const { image, statements, attestation, root, proof, signature } = makeImage(blobs);
  const about: string[] = [];
  const chain = await resolveAttestationChain(
    request(blobs, root, {
      predicateTypes: ['b'],
      referrers: async (digest) => {
        about.push(digest);
        return [
          { ...statements[0], artifactType: 'other' },
          { ...statements[0], artifactType: SIGNATURE },
          { ...signature, artifactType: BUNDLE },
        ];
      },
    }),
  );
  assert.deepEqual(about, [attestation.digest]);
  assert.equal(chain?.imageManifest, image.digest);
  assert.equal(chain?.attestationManifest, attestation.digest);
  assert.deepEqual(chain?.signatureManifests, [signature.digest]);
  assert.deepEqual(
    [...(chain?.blobs.keys() ?? [])],
    [root, attestation, signature, proof, statements[1]].map((d) => d.digest),
  );
  assert.ok(!blobs.asked.includes(image.digest), 'the image itself is not needed');
});

void test('an image without an index has none, one without the platform is not found', async () => {
  const blobs = new Blobs();
  const { image, root } = makeImage(blobs);
  assert.equal(await resolveAttestationChain(request(blobs, image)), undefined);
  await assert.rejects(
    resolveAttestationChain(request(blobs, root, { platform: { os: 'linux', architecture: 's390x' } })),
    /no manifest for platform linux\/s390x/,
  );
});

void test('a registry that sends something else is caught', async () => {
  const blobs = new Blobs();
  const { root, attestation } = makeImage(blobs);
  blobs.spoil(attestation.digest);
  await assert.rejects(resolveAttestationChain(request(blobs, root)), /digest mismatch for blob|reading blob/);
});
