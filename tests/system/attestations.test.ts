/** What is attested of results: provenance, and SBOMs by a scanner image that is made on the spot. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { mustRun } from './process.ts';
import { Registry } from './registry.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const skip = cannotRun || (existsSync('/usr/bin/docker-registry') ? false : 'needs docker-registry');

/** Lists the files of whatever it is shown. */
const SCANNER = `
scan() {
  printf '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":'
  printf '{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"%s","files":[' "$BUILDKIT_SCAN_title"
  (cd "$1" && find . -type f) | sed 's,^\\./\\(.*\\)$,{"fileName":"/\\1"},' | tr '\\n' ',' | sed 's/,$//'
  printf ']}}'
}
scan "$BUILDKIT_SCAN_SOURCE" > "$BUILDKIT_SCAN_DESTINATION/sbom.spdx.json"
[ -z "$BUILDKIT_SCAN_SOURCE_EXTRAS" ] && exit 0
for extra in "$BUILDKIT_SCAN_SOURCE_EXTRAS"/*; do
  scan "$extra" > "$BUILDKIT_SCAN_DESTINATION/$(basename "$extra").spdx.json"
done
`;
const DOCKERFILE = `ARG BUILDKIT_SBOM_SCAN_CONTEXT=true
FROM busybox AS build
ARG BUILDKIT_SBOM_SCAN_STAGE=true
ARG WHO
RUN --mount=type=secret,id=key echo "hello $WHO" > /greeting
FROM scratch
COPY --from=build /greeting /
COPY note /
`;

interface Manifest {
  readonly digest: string;
  readonly body: any;
}

void describe('attestations', { skip, timeout: 240_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let registry: Registry;
  let context: string[];

  const into = (path: string): string => join(scratch.folder, path);

  before(async () => {
    scratch = await makeScratch();
    registry = await Registry.start(scratch.folder);
    daemon = await Daemon.start(scratch.folder);
    context = writeContext(into('context'), { Dockerfile: DOCKERFILE, note: 'a note\n' });
    const scanner = writeContext(into('scanner'), {
      Dockerfile: 'FROM busybox\nCOPY scan.sh /\nENTRYPOINT ["sh"]\nCMD ["/scan.sh"]\n',
      'scan.sh': SCANNER,
    });
    const output = ['--output', `type=image,name=${registry.host}/scanner:1,push=true`];
    const { code, stderr } = await daemon.buildctl([], [...scanner, ...scratch.busybox, ...output]);
    assert.equal(code, 0, stderr);
  });
  after(async () => {
    await daemon?.end();
    await registry?.stop();
    await scratch?.remove();
  });

  const build = async (...args: string[]): Promise<string> => {
    const argument = ['--opt', 'build-arg:WHO=world', '--opt', 'label:made=here'];
    const { code, stderr } = await daemon.buildctl([], [...context, ...scratch.busybox, ...argument, ...args]);
    assert.equal(code, 0, stderr);
    return stderr;
  };
  const sbom = (): string[] => ['--opt', `attest:sbom=generator=${registry.host}/scanner:1,title=mine`];
  const blob = async (repository: string, digest: string): Promise<any> =>
    (await fetch(`http://${registry.host}/v2/${repository}/blobs/${digest}`)).json();

  void test('an image has them beside it: who made it, and what is in which layer', async () => {
    const name = `${registry.host}/attested:1`;
    const said = await build(
      '--opt',
      'attest:provenance=builder-id=us,capture-usage=true',
      ...sbom(),
      '--output',
      `type=image,name=${name},push=true`,
    );
    assert.match(said, /\] generating sbom using /);

    const index: Manifest = await registry.manifest('attested', '1');
    const [image, attestation] = index.body.manifests;
    assert.deepEqual(attestation.platform, { architecture: 'unknown', os: 'unknown' });
    assert.deepEqual(attestation.annotations, {
      'vnd.docker.reference.digest': image.digest,
      'vnd.docker.reference.type': 'attestation-manifest',
    });
    const manifest: Manifest = await registry.manifest('attested', attestation.digest);
    assert.equal(manifest.body.artifactType, 'application/vnd.docker.attestation.manifest.v1+json');
    assert.equal(manifest.body.subject.digest, image.digest);
    const statements = await Promise.all(
      manifest.body.layers.map((layer: { digest: string }) => blob('attested', layer.digest)),
    );
    const { layers } = (await registry.manifest('attested', image.digest)).body;

    const scans = statements.filter((s) => s.predicateType === 'https://spdx.dev/Document').map((s) => s.predicate);
    const filesOf = (scan: any): string[] => scan.files.map((f: { fileName: string }) => f.fileName).sort();
    assert.equal(scans[0].name, 'mine');
    assert.deepEqual(filesOf(scans[0]), ['/greeting', '/note'], 'the image comes first');
    const layerOf = (path: string): string =>
      scans[0].files.find((f: { fileName: string }) => f.fileName === path).comment;
    assert.equal(layerOf('/greeting'), `layerID: ${layers[0].digest}`);
    assert.equal(layerOf('/note'), `layerID: ${layers[1].digest}`);
    const extras = scans.slice(1).map(filesOf);
    assert.equal(extras.length, 2);
    assert.ok(
      extras.some((files) => files.includes('/greeting') && files.includes('/bin/busybox')),
      'the stage',
    );
    assert.ok(
      extras.some((files) => files.length === 1 && files[0] === '/note'),
      'the part of the context that is used',
    );

    const provenance = statements.find((s) => s.predicateType === 'https://slsa.dev/provenance/v1');
    assert.deepEqual(provenance.subject, [
      {
        name: `pkg:docker/${registry.host.replace(':', '%3A')}/attested@1?platform=linux%2F${image.platform.architecture}`,
        digest: { sha256: image.digest.slice('sha256:'.length) },
      },
    ]);
    const { buildDefinition, runDetails } = provenance.predicate;
    assert.equal(runDetails.builder.id, 'us');
    assert.deepEqual(runDetails.metadata.buildkit_completeness, { request: true, resolvedDependencies: false });
    const uris = buildDefinition.resolvedDependencies.map((d: { uri: string }) => d.uri);
    assert.ok(
      uris.some((uri: string) => uri.startsWith('pkg:oci/busybox')),
      uris.join(' '),
    );
    const { locals, secrets } = buildDefinition.externalParameters.request;
    assert.deepEqual(locals, [{ name: 'context' }, { name: 'dockerfile' }]);
    assert.deepEqual(secrets, [{ id: 'key', optional: true }]);
    const { source, layers: stepLayers, sysUsage } = runDetails.metadata.buildkit_metadata;
    assert.ok(sysUsage[0].memoryStat.total > 0 && sysUsage[0].cpuStat.user > 0, JSON.stringify(sysUsage));
    assert.equal(Buffer.from(source.infos[0].data, 'base64').toString(), DOCKERFILE);
    const all = Object.values(stepLayers as Record<string, { digest: string }[][]>).flat(2);
    for (const layer of layers) assert.ok(all.some((l) => l.digest === layer.digest));
  });

  void test('an archive for tools that know images only, and as little as can be told', async () => {
    const dest = into('image.tar');
    const output = `type=oci,dest=${dest},name=x.org/one:1,oci-artifact=false`;
    await build('--opt', 'attest:provenance=mode=min,version=v0.2', '--output', output);
    mkdirSync(into('image'));
    await mustRun('tar', ['-xf', dest, '-C', into('image')], 10_000);
    const read = (digest: string): any =>
      JSON.parse(readFileSync(into(`image/blobs/${digest.replace(':', '/')}`), 'utf8'));
    const top = JSON.parse(readFileSync(into('image/index.json'), 'utf8'));
    const [image, attestation] = read(top.manifests[0].digest).manifests;
    const manifest = read(attestation.digest);
    assert.equal(manifest.artifactType, undefined);
    assert.deepEqual(read(manifest.config.digest).rootfs.diff_ids, [manifest.layers[0].digest]);
    const statement = read(manifest.layers[0].digest);
    assert.equal(statement.predicateType, 'https://slsa.dev/provenance/v0.2');
    assert.equal(statement.subject[0].digest.sha256, image.digest.slice('sha256:'.length));
    assert.equal(statement.predicate.buildConfig, undefined);
    assert.doesNotMatch(JSON.stringify(statement), /world|made|"key"/);
  });

  void test('files have them as files, about each of them', async () => {
    const options = ['--opt', 'attest:provenance=mode=min', ...sbom()];
    await build(...options, '--output', `type=local,dest=${into('files')},attestation-prefix=about-`);
    const sha256 = (path: string): string =>
      createHash('sha256')
        .update(readFileSync(into(`files/${path}`)))
        .digest('hex');
    const provenance = JSON.parse(readFileSync(into('files/about-provenance.json'), 'utf8'));
    assert.deepEqual(
      provenance.subject,
      ['greeting', 'note'].map((name) => ({ name, digest: { sha256: sha256(name) } })),
    );
    const scan = JSON.parse(readFileSync(into('files/about-sbom.spdx.json'), 'utf8'));
    assert.equal(scan.predicate.files.length, 2);

    await build(...options, '--output', `type=tar,dest=${into('files.tar')}`);
    const names = (await mustRun('tar', ['-tf', into('files.tar')], 10_000)).trim().split('\n');
    for (const name of ['greeting', 'note', 'provenance.json', 'sbom.spdx.json']) assert.ok(names.includes(name), name);
  });

  void test('wishes that cannot be met are told before anything is built', async () => {
    const wishes: [string, RegExp][] = [
      ['attest:magic=', /unknown attestation type "magic"/],
      ['attest:sbom=generator=', /sbom (generator|scanner) cannot be empty/],
      ['attest:provenance=version=v9', /invalid provenance SLSA version: v9/],
    ];
    const refused = wishes.map(async ([wish, message]) => {
      const { code, stderr } = await daemon.buildctl([], [...context, ...scratch.busybox, '--opt', wish]);
      assert.equal(code, 1);
      assert.match(stderr, message);
    });
    await Promise.all(refused);
  });

  void test('without them an image is a plain one, and nothing is left', async () => {
    await build('--output', `type=image,name=${registry.host}/plain:1,push=true`);
    assert.equal((await registry.manifest('plain', '1')).body.manifests, undefined);
    await daemon.stopWithoutLeaks();
  });
});
