import assert from 'node:assert/strict';
import test from 'node:test';
import { goJson, parseDigest } from '../oci/index.ts';
import {
  anyJson,
  Capture,
  decodeStatement,
  describeRequest,
  digestMap,
  encodePredicate,
  encodeStatement,
  imagePurl,
  parseAttestationRequests,
  parseProvenanceOptions,
  requestArgs,
} from './index.ts';
import type { ProvenanceFacts } from './index.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const digest = parseDigest(`sha256:${'a'.repeat(64)}`);

void test('what is asked for: from options and from build arguments, quoted fields, defaults', () => {
  const parse = (options: Record<string, string>): unknown =>
    Object.fromEntries(
      [...parseAttestationRequests(new Map(Object.entries(options)))].map(([type, said]) => [
        type,
        Object.fromEntries(said),
      ]),
    );
  assert.deepEqual(parse({ 'attest:provenance': 'mode=max,disabled' }), {
    provenance: { version: 'v1', mode: 'max', disabled: '' },
  });
  assert.deepEqual(parse({ 'build-arg:BUILDKIT_ATTEST_SBOM': '"a=b,c",generator=x' }), {
    sbom: { generator: 'x', a: 'b,c' },
  });
  assert.deepEqual(parse({ 'attest:sbom': '', target: 'x' }), {
    sbom: { generator: 'docker/buildkit-syft-scanner:stable-1' },
  });
  assert.throws(() => parse({ 'attest:magic': '' }), { message: 'unknown attestation type "magic"' });
  assert.throws(() => parse({ 'attest:sbom': 'a"b' }), /^BuildError: failed to parse sbom: parse error on line 1/);
});

void test('options of provenance: modes, versions, flags', () => {
  const parse = (said: Record<string, string>) => parseProvenanceOptions(new Map(Object.entries(said)));
  assert.equal(parse({}).mode, 'max');
  assert.equal(parse({ mode: 'full' }).mode, 'max');
  assert.deepEqual(
    parse({ version: 'v0.2', mode: 'min', 'inline-only': 'true', reproducible: 'T', 'builder-id': 'me' }),
    {
      version: 'v0.2',
      mode: 'min',
      builderId: 'me',
      reproducible: true,
      inlineOnly: true,
      filename: 'provenance.json',
      captureUsage: false,
      completeMaterials: false,
    },
  );
  assert.throws(() => parse({ mode: 'some' }), { message: 'invalid mode "some"' });
  assert.throws(() => parse({ version: 'v3' }), { message: 'invalid provenance SLSA version: v3' });
  assert.throws(() => parse({ reproducible: 'x' }), /failed to parse reproducible flag "x": strconv.ParseBool/);
});

void test('package URLs of images', () => {
  assert.equal(imagePurl('docker', 'busybox', amd64), 'pkg:docker/busybox@latest?platform=linux%2Famd64');
  assert.equal(
    imagePurl('oci', `localhost:5000/a/b_c:1.0@${digest}`, undefined),
    `pkg:oci/localhost%3A5000/a/b_c@1.0?digest=${digest}`,
  );
  assert.equal(
    imagePurl('docker', `docker.io/library/x@${digest}`, { ...amd64, architecture: 'arm', variant: 'v7' }),
    `pkg:docker/x?digest=${digest}&platform=linux%2Farm%2Fv7`,
  );
  // Versions of systems are no part of it.
  const windows = { os: 'windows', architecture: 'amd64', osVersion: '10.0.20348.2227' };
  assert.equal(imagePurl('docker', 'nano', windows), 'pkg:docker/nano@latest?platform=windows%2Famd64');
  assert.throws(() => imagePurl('docker', 'A B', undefined), /failed to parse ref "A B": invalid reference format/);
});

void test('a statement is written as Go writes it, and read with its predicate in the order of maps', () => {
  const statement = {
    predicateType: 'https://example.com/x?a&b',
    subjects: [{ name: 'n', digest: digestMap([digest]) }],
    predicate: '{ "z": [1, {"b" : 2}], "a": "<>" }',
  };
  const text = encodeStatement(statement);
  assert.equal(
    text,
    '{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://example.com/x?a\\u0026b",' +
      `"subject":[{"name":"n","digest":{"sha256":"${'a'.repeat(64)}"}}],` +
      '"predicate":{"z":[1,{"b":2}],"a":"\\u003c\\u003e"}}',
  );
  const again = decodeStatement(text);
  assert.deepEqual({ ...again, predicate: undefined }, { ...statement, predicate: undefined });
  assert.equal(again.predicate, '{"a":"\\u003c\\u003e","z":[1,{"b":2}]}');
});

void test('what is no statement is refused', () => {
  for (const text of ['', '[]', '{"subject":1}', '{"predicateType":1}', '{} {}', '{"subject":[{"digest":{"a":1}}]}']) {
    assert.throws(() => decodeStatement(text), /cannot decode in-toto statement/, text);
  }
});

void test('credentials are masked in contexts, options of the host are not told', () => {
  const args = requestArgs(
    new Map([
      ['context', 'https://user:word@host:80/x.git#main'],
      ['context:layout', `oci-layout://name@${digest}`],
      ['context:one', 'https://user@host/'],
      ['platform', 'linux/arm64'],
      ['attest:sbom', ''],
      ['target', 'https://user:word@host'],
    ]),
  );
  assert.deepEqual(Object.fromEntries(args), {
    context: 'https://xxxxx:xxxxx@host:80/x.git#main',
    'context:layout': `oci-layout://name@${digest}`,
    'context:one': 'https://xxxxx@host/',
    target: 'https://user:word@host',
  });
});

void test('the context becomes the source of the config, with the digest of its material', () => {
  const capture = new Capture();
  capture.add({
    materials: [
      { kind: 'git', url: 'https://host/a.git#main', commit: 'c'.repeat(40) },
      { kind: 'http', url: 'https://host/x.tar', digest },
    ],
  });
  const describe = (context: string) =>
    describeRequest(
      'dockerfile.v0',
      new Map([
        ['context', context],
        ['filename', 'F'],
        ['target', 't'],
      ]),
      capture,
      (text) => (text.endsWith('.git#main:sub') ? { source: 'https://host/a.git#main', config: text } : undefined),
    );
  const git = describe('https://host/a.git#main:sub');
  assert.deepEqual(git.configSource, {
    uri: 'https://host/a.git#main:sub',
    digest: new Map([['sha1', 'c'.repeat(40)]]),
    path: 'F',
  });
  assert.deepEqual([...git.request.args], [['target', 't']]);
  assert.deepEqual(describe('https://host/x.tar').configSource.digest, new Map([['sha256', 'a'.repeat(64)]]));
  assert.deepEqual(describe('https://other').configSource, { uri: 'https://other', path: 'F' });
});

void test('captures: the first of equals stays, pinned names give way to tags, what is needed once is needed', () => {
  const capture = new Capture();
  const image = (ref: string, platform = amd64) => ({ kind: 'image', ref, platform, local: false }) as const;
  capture.add({
    materials: [
      image('docker.io/library/b:latest'),
      image('docker.io/library/b:latest'),
      image('docker.io/library/b:latest', { ...amd64, architecture: 'arm64' }),
      image(`docker.io/library/b@${digest}`),
      image(`docker.io/library/a@${digest}`),
      { kind: 'git', url: 'https://u:p@h/x.git', commit: '' },
    ],
    secrets: [
      { id: 's', optional: true },
      { id: 's', optional: false },
      { id: 's', optional: true },
    ],
    ssh: [{ id: '', optional: true }],
  });
  capture.tidy();
  assert.deepEqual(
    capture.images.map((i) => `${i.ref} ${i.platform?.architecture}`),
    [`docker.io/library/a@${digest} amd64`, 'docker.io/library/b:latest amd64', 'docker.io/library/b:latest arm64'],
  );
  assert.equal(capture.git[0].url, 'https://xxxxx:xxxxx@h/x.git');
  assert.deepEqual([...capture.secrets.values()], [{ id: 's', optional: false }]);
  assert.deepEqual([...capture.ssh.values()], [{ id: 'default', optional: true }]);
});

function factsOf(capture: Capture, more: Partial<ProvenanceFacts> = {}): ProvenanceFacts {
  return {
    capture,
    builderId: 'me',
    reproducible: false,
    invocationId: 'id',
    started: 0n,
    finished: 1_500_000_000n,
    compatibilityVersion: 30,
    details: undefined,
    dockerfileVersion: '1.0',
    customEnv: new Map(),
    readGitUrl: () => undefined,
    ...more,
  };
}

function captureOf(args: Record<string, string>): Capture {
  const capture = new Capture();
  capture.add({
    materials: [
      { kind: 'image', ref: 'docker.io/library/busybox:latest', platform: amd64, digest, local: false },
      { kind: 'git', url: 'https://h/x.git', commit: 'c'.repeat(40), bundle: `oci-layout+blob://h/b@${digest}` },
    ],
    secrets: [{ id: 's', optional: true }],
    network: true,
  });
  capture.request = { frontend: 'dockerfile.v0', args: new Map(Object.entries(args)) };
  return capture;
}

interface V1 {
  buildDefinition: Record<string, any>;
  runDetails: { metadata: Record<string, any> };
}

void test('v1, in short: neither arguments nor secrets, and that says so', () => {
  const capture = captureOf({ 'build-arg:A': '1', target: 't', 'vcs:source': 'https://u@h/r', 'vcs:empty': '' });
  const { buildDefinition, runDetails } = JSON.parse(encodePredicate('v1', factsOf(capture))) as V1;
  assert.deepEqual(buildDefinition.externalParameters, {
    configSource: {},
    request: { frontend: 'dockerfile.v0', args: { target: 't' }, compatibilityVersion: 30 },
  });
  assert.deepEqual(
    buildDefinition.resolvedDependencies.map((d: { uri: string }) => d.uri),
    [
      'pkg:docker/busybox@latest?platform=linux%2Famd64',
      'https://h/x.git',
      `pkg:oci/h/b@latest?ref_type=bundle&vcs_url=https:%2F%2Fh%2Fx.git`,
    ],
  );
  assert.deepEqual(runDetails.metadata.buildkit_completeness, { request: false, resolvedDependencies: true });
  assert.deepEqual(runDetails.metadata.buildkit_metadata, { vcs: { source: 'https://xxxxx@h/r' } });
  assert.equal(runDetails.metadata.buildkit_hermetic, undefined, 'it had the network');
  assert.equal(runDetails.metadata.finishedOn, '1970-01-01T00:00:01.5Z');
});

void test('v1, in full: the fields of the machine and of the config in the order of their names', () => {
  const details = {
    buildConfig: { llbDefinition: [{ id: 'step0', op: {}, n: 1n }] },
    source: undefined,
    layers: undefined,
    sysUsage: undefined,
  };
  const text = encodePredicate(
    'v1',
    factsOf(captureOf({ 'build-arg:A': '1' }), { details, customEnv: new Map([['aaa', { z: 1, b: [2] }]]) }),
  );
  assert.match(
    text,
    /"internalParameters": \{\n {6}"aaa": \{\n {8}"b": \[\n {10}2\n {8}\],\n {8}"z": 1\n {6}\},\n {6}"buildConfig": \{\n {8}"llbDefinition": \[\n {10}\{\n {12}"id": "step0",\n {12}"n": 1,\n {12}"op": \{\}/,
  );
  const { buildDefinition } = JSON.parse(text) as V1;
  assert.deepEqual(buildDefinition.externalParameters.request.secrets, [{ id: 's', optional: true }]);
  assert.deepEqual(buildDefinition.externalParameters.request.args, { 'build-arg:A': '1' });
});

void test('v0.2 says the same in other words', () => {
  const v02 = JSON.parse(encodePredicate('v0.2', factsOf(captureOf({ filename: 'D', target: 't' })))) as Record<
    string,
    any
  >;
  assert.equal(v02.buildType, 'https://mobyproject.org/buildkit@v1');
  assert.deepEqual(v02.invocation.configSource, { entryPoint: 'D' });
  assert.equal(v02.invocation.environment.dockerfileVersion, '1.0');
  assert.deepEqual(v02.metadata.completeness, { parameters: true, environment: true, materials: true });
  assert.equal(v02.materials.length, 3);
});

void test('a local directory makes materials incomplete, and without network and directories a build is hermetic', () => {
  const capture = new Capture();
  const metadata = (c: Capture) => (JSON.parse(encodePredicate('v1', factsOf(c))) as V1).runDetails.metadata;
  assert.equal(metadata(capture).buildkit_hermetic, true);
  capture.add({ materials: [{ kind: 'local', name: 'context' }] });
  assert.equal(metadata(capture).buildkit_hermetic, undefined);
  assert.equal(metadata(capture).buildkit_completeness.resolvedDependencies, false);
});

void test('steps behind a proxy, and what of their requests nobody can get again', () => {
  const metadata = (c: Capture) => (JSON.parse(encodePredicate('v1', factsOf(c))) as V1).runDetails.metadata;
  const one = new Capture();
  one.add({ network: true, proxy: { uncaptured: [] } });
  assert.deepEqual(metadata(one).buildkit_metadata, { network: { mode: 'proxy' } });
  assert.equal(metadata(one).buildkit_completeness.resolvedDependencies, true);
  const request = { op: 'sha256:1', name: 'make', method: 'GET', uri: 'http://b/', reason: 'upstream_error' };
  const other = new Capture();
  other.add({ proxy: { uncaptured: [request, { ...request, method: '', uri: '', reason: 'too_many_requests' }] } });
  const both = one.clone();
  both.merge(other);
  both.tidy();
  assert.deepEqual(metadata(both).buildkit_metadata, {
    network: {
      mode: 'proxy',
      proxy: { incomplete: [{ op: 'sha256:1', name: 'make', reason: 'too_many_requests' }, request] },
    },
  });
  assert.equal(metadata(both).buildkit_completeness.resolvedDependencies, false);
});

void test('values that were read are written with sorted keys', () => {
  assert.equal(
    goJson(anyJson(JSON.parse('{"b":{"y":1e21,"x":0.1},"a":[null,true]}'))),
    '{"a":[null,true],"b":{"x":0.1,"y":1e+21}}',
  );
});
