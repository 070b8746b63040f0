import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { encodeOp, LLB_CAPS } from '../../llb/index.ts';
import type { Digest, ImageConfig } from '../../oci/index.ts';
import { Op } from '../../proto/ops.pb.ts';
import type { Definition } from '../../proto/ops.pb.ts';
import type { GatewayClient, GatewayRef, GatewaySolveRequest } from '../types.ts';
import { dockerfileFrontend } from './index.ts';
import golden from './windows-golden.json' with { type: 'json' };

const WINDOWS = 'windows(10.0.20348.2227)/amd64';

interface Built {
  /** Digests by the names of the steps. */
  readonly vertices: Record<string, string[]>;
  readonly ops: readonly Op[];
  readonly config: ImageConfig;
  readonly warnings: readonly string[];
  readonly metadata: ReadonlyMap<string, Uint8Array>;
  readonly refs: readonly string[];
}

const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** As upstream has them, whose steps with files do not say what system they are for. */
function verticesOf(definition: Definition): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  const digests = new Map<string, string>();
  for (const bytes of definition.def) {
    const op = Op.decode(bytes);
    for (const input of op.inputs) input.digest = digests.get(input.digest) ?? '';
    if (op.op?.$case === 'file') op.platform = undefined;
    const digest = digestOf(encodeOp(op));
    digests.set(digestOf(bytes), digest);
    const name = definition.metadata.get(digestOf(bytes))?.description.get('llb.customname');
    if (op.op !== undefined) (found[name ?? ''] ??= []).push(digest);
  }
  for (const digests of Object.values(found)) digests.sort();
  return found;
}

/** `base` is what every image's configuration is. */
async function build(
  dockerfile: string,
  opts: Record<string, string> = { platform: WINDOWS },
  base: object = golden.base.config,
  ignore = '',
): Promise<Built> {
  const files: Record<string, string> = { Dockerfile: dockerfile, '.dockerignore': ignore };
  const definitions: Definition[] = [];
  const warnings: string[] = [];
  const ref = {
    readFile: async (path: string) => {
      if (files[path] === undefined) throw new Error(`open ${path}: no such file or directory`);
      return Buffer.from(files[path]);
    },
  } as unknown as GatewayRef;
  const client = {
    buildOpts: () => ({
      opts: new Map(Object.entries(opts)),
      sessionId: 'session',
      workers: [{ id: 'w', labels: new Map(), platforms: [{ os: 'linux', architecture: 'amd64' }] }],
      product: 'test',
      llbCaps: new Set(LLB_CAPS.map((c) => c.id)),
      frontendCaps: new Set(['frontend.inputs']),
    }),
    inputs: async () => new Map(),
    solve: async ({ definition }: GatewaySolveRequest) => {
      if (definition !== undefined) definitions.push(definition);
      return { ref, metadata: new Map() };
    },
    resolveImageConfig: async (name: string) => ({
      ref: name,
      digest: golden.base.digest as Digest,
      config: Buffer.from(JSON.stringify(base)),
    }),
    warn: async (_digest: string, message: string) => void warnings.push(message),
  } as unknown as GatewayClient;
  const { metadata, refs } = await dockerfileFrontend(client, new AbortController().signal);
  const last = definitions[definitions.length - 1];
  const config = metadata.get('containerimage.config');
  return {
    vertices: verticesOf(last),
    ops: last.def.map((bytes) => Op.decode(bytes)),
    config: config === undefined ? {} : (JSON.parse(Buffer.from(config).toString()) as ImageConfig),
    warnings,
    metadata,
    refs: [...(refs ?? new Map<string, unknown>()).keys()],
  };
}

const lines = (...text: string[]): string => ['# escape=`', ...text, ''].join('\n');

const copiesOf = ({ ops }: Built) =>
  ops.flatMap(({ op }) =>
    op?.$case === 'file' ? op.value.actions.flatMap((a) => (a.action?.$case === 'copy' ? [a.action.value] : [])) : [],
  );
const execsOf = ({ ops }: Built) => ops.flatMap(({ op }) => (op?.$case === 'exec' ? [op.value] : []));

for (const [name, { dockerfile, platform, vertices, config }] of Object.entries(golden.cases)) {
  void test(`the same graph and image as upstream's: ${name}`, async () => {
    const built = await build(dockerfile, { platform });
    const shown = Object.entries(built.vertices).filter(([step]) => Object.hasOwn(vertices, step));
    assert.deepEqual(Object.fromEntries(shown), vertices);
    const { created: _, rootfs: __, history = [], ...rest } = built.config;
    const plain = history.map(({ created: ___, ...entry }) => entry);
    assert.deepEqual({ ...rest, history: plain }, config);
  });
}

void test('destinations and folders that are on no image', async () => {
  const drive = 'removing drive letter';
  const workdir = `normalizing workdir: normalizing working directory: ${drive}`;
  const rows: readonly (readonly [path: string, message: string])[] = [
    ['\\\\server\\share', 'UNC paths are not supported'],
    ['D:\\x', 'The specified path is not on the system drive (C:)'],
    ['C:', 'No relative path specified in "C:"'],
  ];
  for (const [path, message] of rows) {
    await assert.rejects(build(lines('FROM scratch', `COPY a ${path}`)), { message: `${drive}: ${message}` });
    await assert.rejects(build(lines('FROM scratch', `COPY ${path} /x/`)), {
      message: `${drive}: ${drive}: ${message}`,
    });
    await assert.rejects(build(lines('FROM scratch', `WORKDIR ${path}`)), { message: `${workdir}: ${message}` });
    // It is the target that counts: a stage for Linux has such names.
    await build(lines('FROM scratch', `COPY a ${path}`), { platform: 'linux/amd64' });
  }
  for (const path of ['C:\\NUL.txt', 'C:\\com1\\', 'a?b', 'C:\\x.\\y', 'x:y']) {
    const message = path === 'x:y' ? /not on the system drive/ : /^invalid path ".*" for windows: /;
    await assert.rejects(build(lines('FROM scratch', `COPY a ${path}`)), { message });
    await assert.rejects(build(lines('FROM scratch', `WORKDIR ${path}`)), { message });
  }
  await assert.rejects(build(lines('FROM scratch', 'COPY <<CON C:\\', 'x', 'CON')), {
    message: 'invalid path "CON" for windows: "CON" is the name of a device',
  });
});

void test('what a step takes from the context is asked for with slashes', async () => {
  const built = await build(
    lines(
      'FROM scratch',
      'COPY dir\\a.txt C:\\dir\\b ./',
      'COPY --parents --exclude=x\\*.bak x\\.\\y\\*.md .',
      'ADD https://e.com/f.exe .',
    ),
  );
  const source = built.ops.flatMap(({ op }) => (op?.$case === 'source' ? [op.value] : []));
  const local = source.find((s) => s.identifier === 'local://context');
  assert.deepEqual(JSON.parse(local?.attrs.get('local.followpaths') ?? ''), ['dir/a.txt', 'dir/b', 'x/y/*.md']);
  assert.deepEqual(
    copiesOf(built).map((c) => [c.src, c.includePatterns, c.excludePatterns, c.dest]),
    [
      ['/dir/a.txt', [], [], '/'],
      ['/dir/b', [], [], '/'],
      ['/x', ['y/*.md'], ['x/*.bak'], '/'],
      ['/f.exe', [], [], '/'],
    ],
  );
  const ignored = await build(lines('FROM scratch', 'COPY dir\\a.txt .'), undefined, undefined, 'dir/a.txt\n');
  assert.match(ignored.warnings.join(), /CopyIgnoredFile: Attempting to Copy file "dir\/a.txt"/);
});

void test('variables are found whatever the case of their names', async () => {
  const base = { ...golden.base.config, config: { Env: ['Path=C:\\base', 'Other=1'] } };
  const text = lines('FROM win', 'ENV PATH=C:\\app;$path', 'ARG Version=3', 'LABEL v=$VERSION', 'RUN dir');
  const built = await build(text, undefined, base);
  assert.deepEqual(built.config.config?.Env, ['PATH=C:\\app;C:\\base', 'Other=1']);
  assert.deepEqual(built.config.config?.Labels, { v: '3' });
  assert.deepEqual(built.warnings, []);
  assert.deepEqual(execsOf(built)[0].meta?.env, ['Other=1', 'PATH=C:\\app;C:\\base', 'Version=3']);
  const linux = { ...base, os: 'linux', 'os.version': undefined, 'os.features': undefined };
  const other = await build(text, { platform: 'linux/amd64' }, linux);
  assert.equal(other.config.config?.Env?.[0], 'Path=C:\\base');
  assert.match(other.warnings.join('\n'), /'\$path'/);
  const hinted = await build(lines('FROM scratch', 'ENV FooBar=1', 'LABEL x=$foobat'));
  assert.deepEqual(hinted.warnings, [
    "UndefinedVar: Usage of undefined variable '$foobat' (did you mean $foobar?) (line 4)",
  ]);
});

void test('shell, documents and mounts of RUN', async () => {
  const built = await build(
    lines('FROM win', 'WORKDIR C:\\w', 'RUN <<E', '#!/bin/sh', 'x', 'E') +
      'RUN --mount=type=cache,target=C:\\cache --mount=source=a\\b,target=m --mount=type=secret,id=s,target=C:\\s dir\n' +
      'SHELL ["powershell", "-Command"]\nRUN Get-Date\n',
  );
  const [script, mounts, powershell] = execsOf(built);
  assert.deepEqual(script.meta?.args, ['cmd', '/S', '/C', '#!/bin/sh\nx\n']);
  assert.equal(script.mounts.length, 1);
  assert.deepEqual(
    mounts.mounts.map((m) => [m.dest, m.selector, m.cacheOpt?.ID]),
    [
      ['/', '', undefined],
      ['/cache', '', '/C:\\cache'],
      ['/w/m', '/a/b', undefined],
      ['/s', '', undefined],
    ],
  );
  assert.equal(mounts.meta?.cwd, '/w');
  assert.equal(
    mounts.meta?.env.some((e) => e.startsWith('PATH=')),
    false,
  );
  assert.deepEqual(powershell.meta?.args, ['powershell', '-Command', 'Get-Date']);
  await assert.rejects(build(lines('FROM win', 'RUN --mount=source=a,target=C:\\ dir')), {
    message: 'invalid mount target "/"',
  });
});

void test('SHELL: a path whose backslashes make it no JSON', async () => {
  await assert.rejects(build(lines('FROM scratch', 'SHELL ["C:\\windows\\cmd.exe"]')), {
    message:
      'dockerfile parse error on line 3: SHELL requires the arguments to be in JSON form. ' +
      `It looks like '["c:\\windows\\cmd.exe"]' includes a file path without an escaped back-slash. ` +
      'JSON requires back-slashes to be escaped such as ["c:\\\\path\\\\to\\\\file.exe", "/parameter"]',
  });
  await assert.rejects(build(lines('FROM scratch', 'SHELL cmd')), {
    message: 'dockerfile parse error on line 3: SHELL requires the arguments to be in JSON form',
  });
});

void test('files on nothing say that they are for Windows', async () => {
  const systemsOf = async (...given: Parameters<typeof build>): Promise<(string | undefined)[]> =>
    (await build(...given)).ops.flatMap(({ op, platform }) => (op?.$case === 'file' ? [platform?.OS] : []));
  const text = lines('FROM scratch', 'COPY <<f /', 'x', 'f', 'COPY a /', 'WORKDIR /x');
  assert.deepEqual(await systemsOf(text), [undefined, 'windows', undefined, undefined]);
  assert.deepEqual(await systemsOf(lines('FROM scratch', 'WORKDIR /x', 'COPY a .')), ['windows', undefined]);
  assert.deepEqual(await systemsOf(lines('FROM win', 'WORKDIR /x', 'COPY a .')), [undefined, undefined]);
  const plain = await systemsOf(lines('FROM scratch', 'WORKDIR /x', 'COPY a .'), { platform: 'windows/amd64' });
  assert.deepEqual(plain, [undefined, undefined]);
  assert.deepEqual(await systemsOf(text, { platform: 'linux/amd64' }), [undefined, undefined, undefined, undefined]);
});

void test('COPY --link makes no layer on nothing', async () => {
  const text = lines('FROM win', 'COPY --link --chown=ContainerUser a C:\\x\\');
  const kinds = async (...given: Parameters<typeof build>): Promise<(string | undefined)[]> =>
    (await build(...given)).ops.map(({ op }) => op?.$case);
  assert.equal((await kinds(text)).includes('merge'), false);
  const linux = { ...golden.base.config, os: 'linux', 'os.version': undefined, 'os.features': undefined };
  assert.equal((await kinds(text, { platform: 'linux/amd64' }, linux)).includes('merge'), true);
});

void test('several versions and systems at once', async () => {
  const platform = 'windows(10.0.20348)/amd64,windows(10.0.26100)/amd64,linux/amd64';
  const built = await build(lines('FROM scratch', 'ARG TARGETOSVERSION', 'LABEL v=$TARGETOSVERSION'), { platform });
  const ids = platform.split(',');
  assert.deepEqual(built.refs, ids);
  const text = (key: string): string => Buffer.from(built.metadata.get(key) ?? []).toString();
  assert.equal(
    text('refs.platforms'),
    '{"Platforms":[' +
      '{"ID":"windows(10.0.20348)/amd64","Platform":{"architecture":"amd64","os":"windows","os.version":"10.0.20348"}},' +
      '{"ID":"windows(10.0.26100)/amd64","Platform":{"architecture":"amd64","os":"windows","os.version":"10.0.26100"}},' +
      '{"ID":"linux/amd64","Platform":{"architecture":"amd64","os":"linux"}}]}',
  );
  const configs = ids.map((id) => JSON.parse(text(`containerimage.config/${id}`)) as ImageConfig);
  assert.deepEqual(
    configs.map((c) => [c['os.version'], c.config?.Labels?.v, c.config?.Env, c.config?.WorkingDir]),
    [
      ['10.0.20348', '10.0.20348', undefined, '\\'],
      ['10.0.26100', '10.0.26100', undefined, '\\'],
      [undefined, '', ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], '/'],
    ],
  );
});

void test('a platform that names no version gets that of the base image', async () => {
  const built = await build(lines('FROM win', 'LABEL x=y'), { platform: 'windows/amd64' });
  assert.equal(built.config['os.version'], '10.0.20348.2227');
  assert.deepEqual(built.config['os.features'], ['win32k']);
  assert.equal(
    Buffer.from(built.metadata.get('refs.platforms') ?? []).toString(),
    '{"Platforms":[{"ID":"windows/amd64","Platform":' +
      '{"architecture":"amd64","os":"windows","os.version":"10.0.20348.2227","os.features":["win32k"]}}]}',
  );
  const other = await build(lines('FROM win', 'LABEL x=y'), { platform: 'windows(10.0.20348.9)/amd64' });
  assert.equal(other.config['os.version'], '10.0.20348.9');
});

void test('bases of another system, versions that are none, signals', async () => {
  const linux = { ...golden.base.config, os: 'linux', 'os.version': undefined, 'os.features': undefined };
  const mixed = 'layers of windows and of other systems do not go together';
  await assert.rejects(build(lines('FROM tools', 'COPY a .'), undefined, linux), {
    message: `base image tools is for linux/amd64, the build for ${WINDOWS}: ${mixed}`,
  });
  await assert.rejects(build(lines('FROM win', 'COPY a .'), {}), {
    message: `base image win is for windows(10.0.20348.2227+win32k)/amd64, the build for linux/amd64: ${mixed}`,
  });
  // Whoever only asks about the file is told of it as a remark.
  await build(lines('FROM win', 'COPY a .'), { requestid: 'frontend.outline' });
  await build(
    lines('FROM --platform=$BUILDPLATFORM tools AS b', 'FROM scratch', 'COPY --from=b C:\\a C:\\'),
    undefined,
    linux,
  );

  const none = '"1.x" is no version of windows: it must be major.minor.build[.revision], at most 255.255.65535';
  await assert.rejects(build(lines('FROM scratch'), { platform: 'windows(1.x)/amd64' }), {
    message: `failed to parse target platform windows(1.x)/amd64: ${none}`,
  });
  await assert.rejects(build(lines('FROM --platform=windows(1.x)/amd64 scratch', 'COPY a .')), {
    message: `failed to parse platform windows(1.x)/amd64: ${none}`,
  });
  const odd = { ...golden.base.config, 'os.version': '1.x' };
  await assert.rejects(build(lines('FROM win', 'COPY a .'), { platform: 'windows/amd64' }, odd), {
    message: `base image win: ${none}`,
  });
  await assert.rejects(build(lines('FROM scratch', 'STOPSIGNAL 9')), {
    message: 'The daemon on this platform does not support the command stopsignal',
  });
});
