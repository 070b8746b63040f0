import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { encodeTarHeader, TAR_TRAILER } from '../../archive/index.ts';
import { openLayoutStore } from '../../content/index.ts';
import { parseDigest } from '../../oci/index.ts';
import type { Descriptor } from '../../oci/types.ts';
import { checkAttestations, forFiles } from './attestation.ts';
import type { Attestation } from './attestation.ts';
import { attestationManifest } from './attestation-manifest.ts';
import { statementsOf } from './statements.ts';
import { supplementSbom } from './supplement-sbom.ts';
import { unbundle } from './unbundle.ts';

function attestation(path: string, predicate: string, more: Partial<Attestation> = {}): Attestation {
  return {
    kind: 'in-toto',
    metadata: new Map(),
    path,
    predicateType: 'https://example.com/x',
    content: () => Promise.resolve(Buffer.from(predicate)),
    ...more,
  };
}

const image = {
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: parseDigest(`sha256:${'1'.repeat(64)}`),
  size: 7,
};
const self = [{ name: 'me', digest: new Map([['sha256', '11']]) }];

void test('an attestation is about the result, about it under another name, or about something else', async () => {
  const statements = await statementsOf(
    [
      attestation('a', '{}'),
      attestation('b', '{}', {
        subjects: [
          { kind: 'self', name: '', digest: [] },
          { kind: 'self', name: 'too', digest: [] },
          { kind: 'raw', name: '', digest: ['sha256:22', 'sha512:33'] },
        ],
      }),
    ],
    self,
  );
  assert.deepEqual(statements[0].subjects, self);
  assert.deepEqual(
    statements[1].subjects.map(({ name, digest }) => [name, Object.fromEntries(digest)]),
    [
      ['me', { sha256: '11' }],
      ['me', { sha256: '11' }],
      ['too', { sha256: '11' }],
      ['_', { sha256: '22', sha512: '33' }],
    ],
  );
});

void test('a predicate that is no JSON fails, an empty one is null', async () => {
  await assert.rejects(statementsOf([attestation('a', '{')], []), /failed to marshal attestation/);
  assert.equal((await statementsOf([attestation('a', '')], []))[0].predicate, 'null');
});

void test('frontends may not say how something was built, and must bring something', async () => {
  const provenance = { predicateType: 'https://slsa.dev/provenance/v1', content: undefined };
  const ref = {} as Attestation['ref'];
  await assert.rejects(unbundle([attestation('a', '', { ...provenance, ref })]), {
    message: 'frontend may not set provenance attestations',
  });
  await assert.rejects(unbundle([attestation('', '')]), { message: 'attestation does not have set path' });
  assert.throws(() => checkAttestations([attestation('a', '', { content: undefined })]), {
    message: 'attestation does not have available content',
  });
  await assert.rejects(unbundle([attestation('', '', { kind: 'bundle' })]), {
    message: 'attestation bundle cannot have callback',
  });
});

void test('the SBOM of the image itself comes first; files get what is not only for images', async () => {
  const core = new Map([['sbom-core', Buffer.from('sbom')]]);
  const inline = new Map([['inline-only', Buffer.from('true')]]);
  const all = [attestation('x.json', ''), attestation('sbom.spdx.json', '', { metadata: core })];
  assert.deepEqual(
    (await unbundle(all)).map((a) => a.path),
    ['sbom.spdx.json', 'x.json'],
  );
  assert.deepEqual(
    forFiles([...all, attestation('i', '', { metadata: inline })]).map((a) => a.path),
    ['x.json', 'sbom.spdx.json'],
  );
});

void test('a manifest beside the image: as an artifact with its subject, or as an image of statements', () => {
  const statements = [{ predicateType: 'https://example.com/x', subjects: [], predicate: '{"a":1}' }];
  const artifact = JSON.parse(Buffer.from(attestationManifest(image, statements, true).manifest.bytes).toString());
  assert.equal(artifact.artifactType, 'application/vnd.docker.attestation.manifest.v1+json');
  assert.deepEqual(artifact.subject, image);
  assert.deepEqual(artifact.config, {
    mediaType: 'application/vnd.oci.empty.v1+json',
    digest: 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
    size: 2,
    data: 'e30=',
  });
  const plain = attestationManifest(image, statements, false);
  const [layer] = plain.statements;
  assert.equal(
    Buffer.from(plain.config.bytes).toString(),
    '{"architecture":"unknown","os":"unknown","config":{},' +
      `"rootfs":{"type":"layers","diff_ids":["${layer.descriptor.digest}"]}}`,
  );
  assert.deepEqual(layer.descriptor.annotations, { 'in-toto.io/predicate-type': 'https://example.com/x' });
  assert.deepEqual(plain.manifest.descriptor.platform, { os: 'unknown', architecture: 'unknown' });
  assert.equal(plain.manifest.descriptor.annotations?.['vnd.docker.reference.digest'], image.digest);
});

/** A tar of empty files. */
function tarOf(...names: string[]): Uint8Array {
  const empty = { type: '0', mode: 0o644, uid: 0, gid: 0, size: 0, mtimeNs: 0n, linkname: '', uname: '', gname: '' };
  const headers = names.map((name) => encodeTarHeader({ ...empty, name, devmajor: 0, devminor: 0 }));
  return Buffer.concat([...headers, TAR_TRAILER]);
}

void test('the SBOM of a Windows image names the layers below whose `Files` its files are', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sbom-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const content = openLayoutStore(dir);
  const descriptors: Descriptor[] = [];
  for (const tar of [
    tarOf('Files/base.dll', 'Files/app.exe', 'Hives/x'),
    tarOf('Files/app.exe', 'Files/.wh.base.dll'),
  ]) {
    const writer = await content.writer(`layer ${descriptors.length}`);
    await writer.write(tar);
    const digest = await writer.commit({});
    descriptors.push({ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: tar.length });
  }
  const files = ['/app.exe', '/base.dll', '/x'].map((fileName) => ({ fileName }));
  const sbom = attestation('sbom.spdx.json', JSON.stringify({ spdxVersion: 'SPDX-2.3', files }), {
    predicateType: 'https://spdx.dev/Document',
    metadata: new Map([['sbom-core', Buffer.from('sbom')]]),
  });
  const commentsOf = async (windows: boolean): Promise<unknown[]> => {
    const image = { layers: { descriptors, provider: content }, windows };
    const { content: text } = await supplementSbom(sbom, image, content, new AbortController().signal);
    const document = JSON.parse(Buffer.from((await text?.()) ?? '').toString()) as { files: { comment?: string }[] };
    return document.files.map(({ comment }) => comment);
  };
  const [base, top] = descriptors.map(({ digest }) => `layerID: ${digest}`);
  assert.deepEqual(await commentsOf(true), [top, base, undefined]);
  assert.deepEqual(await commentsOf(false), [undefined, undefined, undefined]);
});
