import assert from 'node:assert/strict';
import test from 'node:test';
import { Capture } from '../../attest/index.ts';
import { image, local, scratch, mkdir } from '../../llb/index.ts';
import { parseDigest } from '../../oci/index.ts';
import type { LazyRef } from '../lazy-ref.ts';
import { describeBuild } from './build-steps.ts';
import { InputProducers } from './input-producers.ts';
import { readGitUrl } from './read-git-url.ts';
import { RequestScope } from './request-scope.ts';
import type { FrontendRequest, MadeRef } from './request-scope.ts';
import { captureResult } from './result-captures.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);

function request(frontend: string, options: Record<string, string> = {}): FrontendRequest {
  return { frontend, options: new Map(Object.entries(options)), inputs: new Map() };
}

function made(name: string): MadeRef {
  const capture = new Capture();
  capture.add({ materials: [{ kind: 'local', name }] });
  return { definition: local(name).marshal(), capture };
}

const lazy = (ref: MadeRef): LazyRef => ({ made: ref }) as unknown as LazyRef;

void test('a ref is told with the request that it was made for, and with what else was made for that', () => {
  const producers = new InputProducers();
  const build = RequestScope.ofBuild(request('', { target: 'outer' }));
  const scope = build.inner(request('dockerfile.v0', { target: 't', context: 'https://u:p@h/', platform: 'p' }));
  const [result, beside, elsewhere] = [made('result'), made('beside'), made('elsewhere')];
  scope.addMade(beside, result);
  scope.addImage({ kind: 'image', ref: 'docker.io/library/x:latest', digest, local: false });
  build.adopt(scope);
  build.addMade(elsewhere);
  const { ref } = captureResult({ ref: lazy(result), metadata: new Map() }, build, producers);
  assert.deepEqual(
    ref?.local.map((l) => l.name),
    ['beside', 'result'],
  );
  assert.equal(ref?.images.length, 1);
  assert.deepEqual(Object.fromEntries(ref?.request?.args ?? []), { target: 't', context: 'https://xxxxx:xxxxx@h/' });
  assert.deepEqual(ref?.request?.root?.request.args, new Map([['target', 'outer']]));
  assert.deepEqual(
    result.capture?.local.map((l) => l.name),
    ['result'],
    'what the ref itself knows stays as it was',
  );
});

void test('a client that is the frontend itself has no request', () => {
  const build = RequestScope.ofBuild(request(''));
  const result = made('x');
  build.addMade(result);
  const { ref } = captureResult({ ref: lazy(result), metadata: new Map() }, build, new InputProducers());
  assert.equal(ref?.request, undefined);
  assert.throws(
    () => captureResult({ ref: lazy(made('y')), metadata: new Map() }, build, new InputProducers()),
    /could not find request for ref/,
  );
});

void test('of images that were looked at for all platforms each result tells its own', () => {
  const build = RequestScope.ofBuild(request(''));
  const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }));
  const refs = new Map(platforms.map((p) => [`linux/${p.architecture}`, made(p.architecture)]));
  build.addMade(...refs.values());
  for (const platform of platforms) {
    build.addImage({ kind: 'image', ref: 'docker.io/library/all:1', platform, digest, local: false });
  }
  build.addImage({ kind: 'image', ref: 'docker.io/library/one:1', platform: platforms[0], digest, local: false });
  const Platforms = platforms.map((Platform) => ({ ID: `linux/${Platform.architecture}`, Platform }));
  const captures = captureResult(
    {
      refs: new Map([...refs].map(([id, ref]) => [id, lazy(ref)])),
      metadata: new Map([['refs.platforms', Buffer.from(JSON.stringify({ Platforms }))]]),
    },
    build,
    new InputProducers(),
  );
  assert.deepEqual(
    captures.refs.get('linux/arm64')?.images.map((i) => `${i.ref} ${i.platform?.architecture}`),
    ['docker.io/library/all:1 arm64', 'docker.io/library/one:1 amd64'],
  );
});

void test('who made an input is known while its build runs, and only where there is no doubt', () => {
  const producers = new InputProducers();
  const ref = made('x');
  const scope = RequestScope.ofBuild(request('')).inner(request('dockerfile.v0', { target: 'a' }));
  scope.addMade(ref);
  const facts = producers.factsOf(scope, ref);
  assert.ok(facts);
  const asking = { ...request('dockerfile.v0'), inputs: new Map([['in', ref.definition]]) };
  assert.equal(producers.inputsOf(asking), undefined);
  const forget = producers.add(ref.definition, facts);
  assert.deepEqual(producers.inputsOf(asking)?.get('in')?.request.args, new Map([['target', 'a']]));
  const other = { ...facts, request: { ...facts.request, args: new Map([['target', 'b']]) } };
  const forgetOther = producers.add(ref.definition, other);
  assert.equal(producers.inputsOf(asking), undefined);
  forgetOther();
  assert.ok(producers.inputsOf(asking));
  forget();
  assert.equal(producers.inputsOf(asking), undefined);
});

void test('a definition as steps: inputs first, without what names a session', () => {
  const state = image('busybox').file(mkdir('/x', 0o755));
  const { buildConfig, numbers } = describeBuild(state.marshal());
  const { llbDefinition, digestMapping } = buildConfig as { llbDefinition: any[]; digestMapping: Map<string, string> };
  assert.deepEqual(
    llbDefinition.map(({ id, inputs }) => [id, inputs]),
    [
      ['step0', undefined],
      ['step1', ['step0:0']],
      ['step2', ['step1:0']],
    ],
  );
  assert.equal(llbDefinition[0].op.Op.source.identifier, 'docker-image://docker.io/library/busybox:latest');
  assert.equal(llbDefinition[1].op.Op.file.actions[0].secondaryInput, -1n);
  assert.deepEqual(llbDefinition[2].op.Op, {});
  assert.deepEqual([...digestMapping.values()], ['step0', 'step1', 'step2']);
  assert.equal(numbers.size, 3);
  const used = { samples: [{ timestamp: 'now' }] };
  const measured = describeBuild(state.marshal(), new Map([[[...digestMapping.keys()][1], used]])).buildConfig;
  const steps = (measured as { llbDefinition: any[] }).llbDefinition;
  assert.deepEqual(
    steps.map((step) => step.resourceUsage),
    [undefined, used, undefined],
  );
  const session = describeBuild(local('c', { sessionId: 's' } as object).marshal());
  assert.doesNotMatch(
    JSON.stringify(session.buildConfig, (_, v) => (v instanceof Map ? [...v] : typeof v === 'bigint' ? Number(v) : v)),
    /local\.session/,
  );
  assert.deepEqual(describeBuild(scratch().marshal()).buildConfig, {});
});

void test('git URLs in any form', () => {
  assert.deepEqual(readGitUrl('https://h/x.git'), { source: 'https://h/x.git', config: 'https://h/x.git' });
  assert.deepEqual(readGitUrl('https://h/x.git?branch=b&subdir=s/../t'), {
    source: 'https://h/x.git#refs/heads/b',
    config: 'https://h/x.git#refs/heads/b:t',
  });
  assert.equal(readGitUrl('https://h/x.tar'), undefined);
  assert.equal(readGitUrl('https://h/x.git?no=such'), undefined);
});
