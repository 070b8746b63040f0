import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuildError, Code } from '../../base/index.ts';
import type { Digest } from '../../oci/index.ts';
import { Op } from '../../proto/ops.pb.ts';
import type { BuildOpts, GatewayClient } from '../types.ts';
import { checkFrontendCapabilities, findFrontendImage, frontendProcess, needsNoNetwork } from './index.ts';

const DIGEST = `sha256:${'a'.repeat(64)}` as Digest;
const BUILD: BuildOpts = {
  opts: new Map([['source', 'front']]),
  sessionId: 's',
  workers: [{ id: 'w', labels: new Map([['l', 'v']]), platforms: [{ os: 'linux', architecture: 'amd64' }] }],
  product: 'p',
  llbCaps: new Set(),
  frontendCaps: new Set(),
};

void test('capabilities: what the label promises, less what is added to a name', () => {
  const check = (caps: string | undefined, label: string, hasInputs = false, digest = '') =>
    checkFrontendCapabilities({ labels: { 'moby.buildkit.frontend.caps': label }, digest }, { caps, hasInputs });
  check(undefined, '');
  check('a,b+forward', 'b,a+x');
  assert.throws(
    () => check('a,c', 'a'),
    (error: BuildError) => {
      assert.equal(error.code, Code.Unimplemented);
      assert.equal(error.message, 'unsupported frontend capability c');
      return (error.findDetail('errdefs.FrontendCap') as { name: string }).name === 'c';
    },
  );
  assert.throws(() => check(undefined, 'a', true), /moby\.buildkit\.frontend\.inputs/);
  check(undefined, 'moby.buildkit.frontend.inputs', true);
  check(undefined, '', true, 'sha256:9ac1c43a60e31dca741a6fe8314130a9cd4c4db0311fbbc636ff992ef60ae76d');
});

void test('no network only where the label is true', () => {
  const none = (value?: string) =>
    needsNoNetwork(value === undefined ? {} : { 'moby.buildkit.frontend.network.none': value });
  assert.deepEqual([none(), none('false'), none('yes'), none('true'), none('1')], [false, false, false, true, true]);
});

void test('the process: entry point, folder and environment', () => {
  const process = frontendProcess({ Entrypoint: ['/f', 'x'], Cmd: ['no'], Env: ['A=b'], WorkingDir: '/w' }, BUILD);
  assert.deepEqual(process.args, ['/f', 'x']);
  assert.equal(process.cwd, '/w');
  assert.deepEqual(
    process.env.filter((e) => !e.startsWith('BUILDKIT_WORKERS=')),
    ['A=b', 'BUILDKIT_FRONTEND_OPT_0=source=front', 'BUILDKIT_SESSION_ID=s', 'BUILDKIT_EXPORTEDPRODUCT=p'],
  );
  const workers = process.env.find((e) => e.startsWith('BUILDKIT_WORKERS='))?.slice('BUILDKIT_WORKERS='.length) ?? '';
  const [worker] = JSON.parse(workers) as { id: string; labels: object; platforms: object[] }[];
  assert.deepEqual(
    [worker.id, worker.labels, worker.platforms],
    ['w', { l: 'v' }, [{ architecture: 'amd64', os: 'linux' }]],
  );
  assert.deepEqual(frontendProcess({ Cmd: ['no'] }, BUILD), {
    ...frontendProcess({}, BUILD),
    args: ['/run'],
    cwd: '/',
  });
});

function clientFor(opts: Readonly<Record<string, string>>): GatewayClient & { asked: string[] } {
  const asked: string[] = [];
  const config = JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: {}, config: { Labels: { l: 'v' } } });
  return {
    asked,
    buildOpts: () => ({ ...BUILD, opts: new Map(Object.entries(opts)) }),
    resolveImageConfig: async (ref: string) => {
      asked.push(ref);
      return { ref, digest: DIGEST, config: Buffer.from(config) };
    },
  } as unknown as GatewayClient & { asked: string[] };
}

void test('the image: named in full, pinned, of an allowed repository, or what the client passes in its place', async () => {
  const client = clientFor({ source: 'docker/dockerfile:1' });
  const found = await findFrontendImage(client, ['docker.io/docker/dockerfile']);
  assert.deepEqual(client.asked, ['docker.io/docker/dockerfile:1']);
  assert.deepEqual(found.config.Labels, { l: 'v' });
  const source = (definition: typeof found.definition) => {
    const { op } = Op.decode(definition.def[0]);
    return op?.$case === 'source' ? op.value : undefined;
  };
  assert.equal(source(found.definition)?.identifier, `docker-image://docker.io/docker/dockerfile:1@${DIGEST}`);
  assert.equal(source(found.definition)?.attrs.get('image.recordtype'), 'frontend');
  await assert.rejects(
    findFrontendImage(client, ['docker.io/other/one']),
    /'docker\/dockerfile:1' is not an allowed gateway source/,
  );
  const replaced = await findFrontendImage(
    clientFor({ source: 'docker/dockerfile:1', 'context:docker/dockerfile:1': 'docker-image://mine' }),
    [],
  );
  assert.match(source(replaced.definition)?.identifier ?? '', /^docker-image:\/\/docker\.io\/library\/mine:latest/);
  await assert.rejects(findFrontendImage(clientFor({}), []), /no source specified for gateway/);
  await assert.rejects(findFrontendImage(clientFor({ source: 'A B' }), []), /invalid reference format/);
  await assert.rejects(
    findFrontendImage(clientFor({ source: 'x', 'gateway-devel': '1' }), []),
    /development gateway is no longer supported/,
  );
});
