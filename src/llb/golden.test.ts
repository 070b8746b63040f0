/** Digests of ops as upstream's client makes them of the same graphs. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { digestOf, parsePlatform } from '../oci/index.ts';
import { encodeOp } from './encode-op.ts';
import { Op } from '../proto/ops.pb.ts';
import {
  copy,
  diff,
  git,
  http,
  image,
  local,
  merge,
  mkdir,
  mkfile,
  ociLayout,
  owner,
  scratch,
  State,
} from './index.ts';
import { validateOp } from './validate-op.ts';

const golden = JSON.parse(readFileSync(new URL('./golden.json', import.meta.url), 'utf8')) as Record<string, string[]>;

const ones = '1'.repeat(64);
const alpine = image('alpine:3.20');
const exec = alpine
  .addEnv('A', '1')
  .addEnv('B', '')
  .dir('/work')
  .dir('sub')
  .user('me')
  .run({
    args: ['sh', '-c', 'echo <hi> & ls'],
    mounts: [
      {
        target: '/src',
        source: local('ctx', { includePatterns: ['a*', 'b<>'], sharedKeyHint: 'hint' }),
        readonly: true,
      },
      { target: '/out', source: scratch() },
      { target: '/cache', cache: { id: 'id1', sharing: 'locked' } },
      { target: '/tmp', tmpfs: { size: 1234 } },
      { target: '/again', source: alpine, selector: '/etc', noOutput: true },
    ],
    secrets: [{ id: 'x', target: '/run/secrets/x', optional: true }],
    ssh: [{ id: 'default' }],
    network: 'host',
    security: 'insecure',
    extraHosts: [{ host: 'h', ip: '1.2.3.4' }],
    ulimits: [{ name: 'nofile', soft: 10, hard: 20 }],
    validExitCodes: [0, 3],
    proxyEnv: { httpProxy: 'p' },
    customName: 'custom',
    ignoreCache: true,
  });
const arm = image(`busybox@sha256:${ones}`, {
  resolveMode: 'pull',
  platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
});
const files = arm.dir('/d').file(
  mkdir('x', 0o755, { makeParents: true })
    .mkfile('x/f', 0o644, 'data', { owner: owner('u:g') })
    .copy(alpine, 'etc/./a*', 'y/', {
      allowWildcard: true,
      createDestPath: true,
      followSymlinks: true,
      owner: owner('0:12'),
    })
    .copy(mkfile('/z', 0o600, Uint8Array.of(1)).withState(scratch()), 'z', 'zz/.')
    .symlink('a', '/b')
    .rm('/q', { allowNotFound: true }),
  { customName: 'files' },
);

const graphs: Record<string, State> = {
  image: alpine,
  run: exec.root,
  out: exec.getMount('/out'),
  file: files,
  file2: scratch().file(mkdir('/foo', 0o700, { createdTime: 5_000_000_006n })),
  merge: merge([alpine, files, diff(alpine, exec.root)]),
  diff: diff(alpine, scratch()),
  git: git('https://github.com/moby/buildkit.git', 'v1:sub/dir', { keepGitDir: true }),
  http: http('https://example.com/x', { filename: 'n', perm: 0o600, uid: 1, gid: 2 }),
  oci: ociLayout(`n@sha256:${ones}`, { sessionId: 's', storeId: 'st' }),
  req: alpine.requires('rid', [files]),
  runarm: arm.run({ shlex: "echo 'a b' c\\ d" }).root,
};

const options = { platform: parsePlatform('linux/amd64'), localUniqueId: 'uniq' };

for (const [name, state] of Object.entries(graphs)) {
  void test(`${name}: the bytes of every op are upstream's`, () => {
    const definition = state.marshal(options);
    assert.deepEqual(
      definition.def.map((d) => digestOf(d)),
      golden[name],
    );
    // The daemon marshals anew: nothing may change on the way.
    for (const bytes of definition.def) {
      const op = Op.decode(bytes);
      assert.deepEqual(Buffer.from(encodeOp(op)), Buffer.from(bytes));
      validateOp(op);
    }
    const again = State.fromDefinition(definition).marshal(options);
    assert.deepEqual(new Set(again.def.map((d) => digestOf(d))), new Set(golden[name]));
  });
}

void test('maps with empty values are kept whole, unknown fields too', () => {
  const op = Op.decode(
    encodeOp({
      inputs: [],
      platform: undefined,
      constraints: undefined,
      op: {
        $case: 'source',
        value: {
          identifier: 'x',
          attrs: new Map([
            ['b', ''],
            ['a', '1'],
          ]),
        },
      },
    }),
  );
  assert.deepEqual(op.op?.$case === 'source' ? [...op.op.value.attrs] : [], [
    ['a', '1'],
    ['b', ''],
  ]);
  const unknown = Buffer.from([0xa2, 0x06, 0x01, 0x61]);
  assert.deepEqual(
    Buffer.from(encodeOp(Op.decode(Buffer.concat([encodeOp(op), unknown])))),
    Buffer.concat([encodeOp(op), unknown]),
  );
});

void test('a long chain is marshalled without deep recursion, names and caps travel', () => {
  let state = scratch();
  for (let i = 0; i < 5000; i++) state = state.file(copy(alpine, '/a', '/b'));
  assert.equal(state.marshal(options).def.length, 5002);
  const { metadata, def, Source } = exec.root.marshal({ ...options, caps: new Set(['exec.meta.setsdefaultpath']) });
  const execMeta = metadata.get(digestOf(def[def.length - 2]));
  assert.equal(execMeta?.description.get('llb.customname'), 'custom');
  assert.equal(execMeta?.caps.get('exec.meta.setsdefaultpath'), true);
  assert.equal(metadata.get(digestOf(def[def.length - 1]))?.caps.get('meta.ignorecache'), true);
  assert.equal(Source?.infos.length, 0);
});

void test('locations of equal texts share one info', () => {
  const at = (line: number) => ({
    map: { filename: 'Dockerfile', language: 'Dockerfile', data: Buffer.from('FROM x') },
    ranges: [{ start: { line, character: 0 }, end: { line, character: 3 } }],
  });
  const { Source } = image('x', { locations: [at(1)] })
    .file(mkdir('/a', 0o755), { locations: [at(2)] })
    .marshal(options);
  assert.equal(Source?.infos.length, 1);
  assert.equal(Source?.locations.size, 2);
});
