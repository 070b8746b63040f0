import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuildError, Code } from '../../base/index.ts';
import { LLB_CAPS } from '../../llb/index.ts';
import type { Digest } from '../../oci/index.ts';
import { Op } from '../../proto/ops.pb.ts';
import type { Definition } from '../../proto/ops.pb.ts';
import type { GatewayClient, GatewayRef, GatewaySolveRequest } from '../types.ts';
import { dockerfileFrontend } from './index.ts';

const DIGEST = `sha256:${'a'.repeat(64)}` as Digest;
const BASE = {
  architecture: 'amd64',
  os: 'linux',
  created: '2020-01-01T00:00:00Z',
  config: { Env: ['PATH=/bin'], Cmd: ['sh'], WorkingDir: '/' },
  rootfs: { type: 'layers', diff_ids: [DIGEST] },
  history: [{ created_by: 'base' }],
};

interface Step {
  readonly name: string;
  readonly op: NonNullable<Op['op']>;
  readonly line: number | undefined;
  readonly digest: string;
}

function stepsOf(definition: Definition): Step[] {
  const steps: Step[] = [];
  const digests = [...definition.metadata.keys()];
  for (const [i, bytes] of definition.def.entries()) {
    const { op } = Op.decode(bytes);
    if (op === undefined) continue;
    const digest = digests[i];
    const line = definition.Source?.locations.get(digest)?.locations[0]?.ranges[0]?.start?.line;
    steps.push({ name: definition.metadata.get(digest)?.description.get('llb.customname') ?? '', op, line, digest });
  }
  return steps;
}

interface Outcome {
  readonly definitions: Definition[];
  readonly steps: Step[];
  readonly warnings: string[];
  readonly resolved: string[];
  /** Everything that was asked for, in order. */
  readonly asked: string[];
  /** Requests to other frontends. */
  readonly forwarded: readonly Omit<GatewaySolveRequest, 'definition'>[];
  readonly config: typeof BASE & { history: { created_by: string; empty_layer?: boolean }[] };
  readonly metadata: ReadonlyMap<string, Uint8Array>;
}

async function build(
  files: string | Record<string, string>,
  opts: Record<string, string> = {},
  base: object = BASE,
  answer?: Error,
): Promise<Outcome> {
  const all = typeof files === 'string' ? { Dockerfile: files } : files;
  const definitions: Definition[] = [];
  const warnings: string[] = [];
  const resolved: string[] = [];
  const asked: string[] = [];
  const forwarded: Omit<GatewaySolveRequest, 'definition'>[] = [];
  const ref = {
    readFile: async (path: string) => {
      if (!Object.hasOwn(all, path)) throw new Error(`open ${path}: no such file or directory`);
      return Buffer.from(all[path as keyof typeof all]);
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
    solve: async ({ definition, ...other }: GatewaySolveRequest) => {
      if (definition === undefined) {
        if (answer instanceof Error) throw answer;
        forwarded.push(other);
        return { ref, metadata: new Map([['by', Buffer.from(other.frontend ?? '')]]) };
      }
      definitions.push(definition);
      asked.push(...stepsOf(definition).map((step) => step.name));
      return { ref, metadata: new Map() };
    },
    resolveImageConfig: async (name: string) => {
      resolved.push(name);
      asked.push(`metadata of ${name}`);
      return { ref: name, digest: DIGEST, config: Buffer.from(JSON.stringify(base)) };
    },
    warn: async (_digest: string, message: string) => {
      warnings.push(message);
    },
  } as unknown as GatewayClient;
  const { metadata } = await dockerfileFrontend(client, new AbortController().signal);
  const config = metadata.get('containerimage.config');
  return {
    definitions,
    steps: stepsOf(definitions[definitions.length - 1]),
    warnings,
    resolved,
    asked,
    forwarded,
    metadata,
    config: config === undefined ? undefined : JSON.parse(Buffer.from(config).toString()),
  };
}

const names = (outcome: Outcome): string[] => outcome.steps.map((s) => s.name);
const execs = (outcome: Outcome) => outcome.steps.flatMap((s) => (s.op.$case === 'exec' ? [s.op.value] : []));
const copies = (outcome: Outcome) =>
  outcome.steps.flatMap((s) =>
    s.op.$case === 'file'
      ? s.op.value.actions.flatMap((a) => (a.action?.$case === 'copy' ? [a.action.value] : []))
      : [],
  );

void test('steps, their names, their lines and the image', async () => {
  const outcome = await build(
    [
      'ARG V=1',
      'FROM alpine AS build',
      'ARG V',
      'ENV A=b C=$V',
      'WORKDIR /src',
      'RUN echo $A "$V"',
      'FROM scratch',
      'COPY --from=build /src/out* /bin/',
      'COPY a dir/b ./',
      'EXPOSE 80 90-91/udp',
      'LABEL x=y',
      'USER me',
      'ENTRYPOINT ["/bin/x"]',
      'CMD ["y"]',
      '',
    ].join('\n'),
    { 'label:z': 'q' },
  );
  assert.deepEqual(
    outcome.steps.map((s) => [s.name, s.line]).sort(),
    [
      ['[build 1/3] FROM docker.io/library/alpine:latest@sha256:' + 'a'.repeat(64), 2],
      ['[build 2/3] WORKDIR /src', 5],
      ['[build 3/3] RUN echo b "1"', 6],
      ['[internal] load build context', undefined],
      ['[stage-1 1/2] COPY --from=build /src/out* /bin/', 8],
      ['[stage-1 2/2] COPY a dir/b ./', 9],
    ].sort(),
  );
  const [exec] = execs(outcome);
  assert.deepEqual(exec.meta?.args, ['/bin/sh', '-c', 'echo $A "$V"']);
  assert.deepEqual(exec.meta?.env, ['PATH=/bin', 'V=1', 'A=b', 'C=1']);
  assert.equal(exec.meta?.cwd, '/src');
  const local = outcome.steps.find((s) => s.op.$case === 'source' && s.op.value.identifier === 'local://context');
  assert.ok(local?.op.$case === 'source');
  assert.equal(local.op.value.attrs.get('local.followpaths'), '["a","dir/b"]');
  assert.deepEqual(
    copies(outcome).map((c) => [c.src, c.dest, c.allowWildcard, c.dirCopyContents, c.createDestPath]),
    [
      ['/src/out*', '/bin/', true, true, true],
      ['/a', '/', true, true, true],
      ['/dir/b', '/', true, true, true],
    ],
  );
  assert.equal(
    Buffer.from(outcome.metadata.get('containerimage.config') as Uint8Array).toString(),
    '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":null},"history":[' +
      '{"created_by":"COPY /src/out* /bin/ # buildkit","comment":"buildkit.dockerfile.v0"},' +
      '{"created_by":"COPY a dir/b ./ # buildkit","comment":"buildkit.dockerfile.v0"},' +
      '{"created_by":"EXPOSE [80/tcp 90/udp 91/udp]","comment":"buildkit.dockerfile.v0","empty_layer":true},' +
      '{"created_by":"LABEL x=y","comment":"buildkit.dockerfile.v0","empty_layer":true},' +
      '{"created_by":"USER me","comment":"buildkit.dockerfile.v0","empty_layer":true},' +
      '{"created_by":"ENTRYPOINT [\\"/bin/x\\"]","comment":"buildkit.dockerfile.v0","empty_layer":true},' +
      '{"created_by":"CMD [\\"y\\"]","comment":"buildkit.dockerfile.v0","empty_layer":true}],' +
      '"config":{"User":"me","ExposedPorts":{"80/tcp":{},"90/udp":{},"91/udp":{}},' +
      '"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],' +
      '"Entrypoint":["/bin/x"],"Cmd":["y"],"WorkingDir":"/","Labels":{"x":"y","z":"q"},"ArgsEscaped":true}}',
  );
  assert.equal(
    Buffer.from(outcome.metadata.get('refs.platforms') as Uint8Array).toString(),
    '{"Platforms":[{"ID":"linux/amd64","Platform":{"architecture":"amd64","os":"linux"}}]}',
  );
});

void test('what a build loads first', async () => {
  const outcome = await build('FROM scratch\nCOPY . /\n');
  assert.deepEqual(
    outcome.definitions.flatMap((d) => stepsOf(d).map((s) => s.name)),
    [
      '[internal] load build definition from Dockerfile',
      '[internal] load .dockerignore',
      '[internal] load build context',
      '[1/1] COPY . /',
    ],
  );
});

void test('the base image is asked for before the client is asked what to leave out', async () => {
  const { asked } = await build('FROM a\nCOPY . /\n');
  const at = asked.indexOf('metadata of docker.io/library/a:latest');
  assert.ok(at >= 0 && at < asked.indexOf('[internal] load .dockerignore'), asked.join());
});

void test('stages that the target does not need are not pulled', async () => {
  const text = 'FROM a AS one\nFROM b AS two\nRUN x\nFROM one\nRUN y\n';
  const outcome = await build(text, { target: 'one' });
  assert.deepEqual(outcome.resolved, ['docker.io/library/a:latest']);
  const error = await build(text, { target: 'tow' }).catch((e: BuildError) => e.message);
  assert.equal(error, 'target stage "tow" could not be found (did you mean two?)');
});

void test('mounts, heredocs and shells of RUN', async () => {
  const outcome = await build(
    [
      'FROM a AS x',
      'RUN --mount=type=cache,target=/c --mount=type=secret,id=s --mount=type=bind,from=b,target=/b,source=/q <<EOF',
      'echo 1',
      'EOF',
      'SHELL ["/bin/bash", "-c"]',
      'RUN --network=none echo',
      '',
    ].join('\n'),
    { 'build-arg:BUILDKIT_CACHE_MOUNT_NS': 'ns', 'build-arg:http_proxy': 'p' },
  );
  const [first, second] = execs(outcome);
  assert.deepEqual(first.meta?.args, ['/bin/sh', '-c', 'echo 1\n']);
  assert.deepEqual(
    first.mounts.map((m) => [m.dest, m.readonly, m.selector, m.cacheOpt?.ID ?? m.secretOpt?.ID]),
    [
      ['/', false, '', undefined],
      ['/b', true, '/q', undefined],
      ['/c', false, '', 'ns//c'],
      ['/run/secrets/s', false, '', 's'],
    ],
  );
  assert.equal(first.meta?.proxyEnv?.httpProxy, 'p');
  assert.deepEqual(second.meta?.args, ['/bin/bash', '-c', 'echo']);
  assert.equal(second.network, 2);
  assert.ok(names(outcome).some((n) => n.endsWith('<<EOF (echo 1)')));
});

void test('ADD, --link and heredoc sources', async () => {
  const outcome = await build(
    'FROM a\nADD a.tar https://host/x/f.txt /d/\nCOPY --link --chown=1:2 b /l\nCOPY <<F /h\n$PATH\nF\n',
  );
  assert.deepEqual(
    copies(outcome).map((c) => [c.src, c.dest, c.attemptUnpackDockerCompatibility, c.followSymlink]),
    [
      ['/a.tar', '/d/', true, true],
      ['/f.txt', '/d/', false, false],
      ['/b', '/l', false, true],
      ['/F', '/h', false, false],
    ],
  );
  assert.ok(names(outcome).includes('[3/4] LINK COPY --link --chown=1:2 b /l'));
  assert.ok(outcome.steps.some((s) => s.op.$case === 'merge'));
  const made = outcome.steps
    .flatMap((s) => (s.op.$case === 'file' ? s.op.value.actions : []))
    .find((a) => a.action?.$case === 'mkfile');
  assert.ok(made?.action?.$case === 'mkfile');
  assert.equal(Buffer.from(made.action.value.data).toString(), '/bin\n');
});

void test('triggers of a base image run first', async () => {
  const outcome = await build('FROM a\nRUN y\n', {}, { ...BASE, config: { ...BASE.config, OnBuild: ['RUN x'] } });
  assert.deepEqual(
    names(outcome).filter((n) => n.includes('RUN')),
    ['[2/3] ONBUILD RUN x', '[3/3] RUN y'],
  );
});

void test('several platforms', async () => {
  const outcome = await build('FROM --platform=$BUILDPLATFORM a\nARG TARGETARCH\nRUN x $TARGETARCH\n', {
    platform: 'linux/amd64,linux/arm64',
  });
  assert.deepEqual([...outcome.metadata.keys()].sort(), [
    'containerimage.base.config/linux/amd64',
    'containerimage.base.config/linux/arm64',
    'containerimage.config/linux/amd64',
    'containerimage.config/linux/arm64',
    'refs.platforms',
  ]);
  assert.ok(names(outcome).includes('[linux/amd64->arm64 2/2] RUN x arm64'));
});

void test('named contexts', async () => {
  const outcome = await build('FROM a AS x\nCOPY --from=src f /\n', {
    'context:a': 'docker-image://b',
    'context:src': 'local:dir',
  });
  assert.deepEqual(outcome.resolved, ['docker.io/library/b:latest']);
  const local = outcome.steps.find((s) => s.name === '[context src] load from client');
  assert.ok(local?.op.$case === 'source');
  assert.equal(local.op.value.attrs.get('local.followpaths'), '["f"]');
});

void test('warnings', async () => {
  const outcome = await build({
    Dockerfile: 'from a As x\nRUN echo $y\nENV a_token b\nWORKDIR r\nCMD x\nCMD y\nCOPY no $HOM/x\nMAINTAINER m\n',
    'Dockerfile.dockerignore': 'no\n',
  });
  assert.deepEqual(outcome.warnings.map((w) => w.split(':')[0]).sort(), [
    'ConsistentInstructionCasing',
    'CopyIgnoredFile',
    'FromAsCasing',
    'JSONArgsRecommended',
    'JSONArgsRecommended',
    'LegacyKeyValueFormat',
    'MaintainerDeprecated',
    'MultipleInstructionsDisallowed',
    'SecretsUsedInArgOrEnv',
    'UndefinedVar',
    'WorkdirRelativePath',
  ]);
  assert.deepEqual((await build('# check=skip=all\nfrom a\nCMD x\n')).warnings, []);
  await assert.rejects(
    build('# check=error=true\nFROM a\nCMD x\n'),
    /lint violation found for rules: JSONArgsRecommended/,
  );
});

void test('errors carry the lines they are about', async () => {
  const cases: readonly (readonly [string, Record<string, string>, string, number | undefined])[] = [
    ['FROM a\nFOO\n', {}, 'dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)', 2],
    ['FROM fo@o\n', {}, 'failed to parse stage name "fo@o": invalid reference format', 1],
    ['FROM $x\n', {}, 'base name ($x) should not be blank', 1],
    ['FROM a\nCOPY --from=9 a b\n', {}, 'invalid stage index 9', undefined],
    [
      'FROM a AS x\nCOPY --from=y . /\nFROM a AS y\nCOPY --from=x . /\n',
      {},
      'circular dependency detected on stage: x',
      2,
    ],
    ['FROM a\nSTOPSIGNAL FOO\n', {}, 'invalid signal: FOO', 2],
    ['FROM a\nRUN --mount=type=bnd x\n', {}, 'unsupported mount type "bnd" (did you mean bind?)', 2],
    [
      'FROM --platform=a/b/c/d x\n',
      {},
      'failed to parse platform a/b/c/d: "a/b/c/d": cannot parse platform specifier: invalid argument',
      1,
    ],
    ['', {}, 'the Dockerfile cannot be empty', undefined],
  ];
  for (const [text, opts, message, line] of cases) {
    const error = (await build(text, opts).catch((e: unknown) => e)) as BuildError;
    assert.ok(error instanceof BuildError, `${text}: ${String(error)}`);
    assert.equal(error.message, message, text);
    // Clients show any other before the message.
    assert.equal(error.code, Code.Unknown, text);
    const source = error.findDetail('errdefs.Source') as
      | { info: { definition?: { def: string[] } }; ranges: { start: { line: number } }[] }
      | undefined;
    if (line !== undefined) assert.equal(source?.ranges[0]?.start.line, line, text);
    if (line !== undefined) assert.ok((source?.info.definition?.def.length ?? 0) > 0, text);
  }
});

void test('another frontend gets the build, with all that was asked', async () => {
  const text = '# syntax=docker/dockerfile:1 a b\nFROM scratch\nCOPY a /\n';
  const other = await build(text, { target: 't' });
  assert.equal(other.metadata.get('by')?.toString(), 'gateway.v0');
  const [request] = other.forwarded;
  assert.deepEqual(Object.fromEntries(request.frontendOpt ?? []), {
    target: 't',
    source: 'docker/dockerfile:1',
    cmdline: 'docker/dockerfile:1 a b',
  });
  assert.deepEqual(request.frontendInputs, new Map());
  const argument = await build(text, { 'build-arg:BUILDKIT_SYNTAX': ' x/y z' });
  assert.equal(argument.forwarded[0].frontendOpt?.get('source'), 'x/y');
  assert.equal(argument.forwarded[0].frontendOpt?.get('cmdline'), ' x/y z');
  // The one that was chosen so builds.
  assert.equal((await build(text, { cmdline: 'docker/dockerfile:1' })).steps.length, 2);
  const caps = { 'frontend.caps': 'moby.buildkit.frontend.inputs,new.one+forward' };
  assert.equal((await build(text, caps)).forwarded.length, 1);
  await assert.rejects(build('FROM scratch', caps), /unsupported frontend capability new\.one/);
  await assert.rejects(build(text, { 'frontend.caps': 'new.one' }), /unsupported frontend capability new\.one/);
});

void test('what went wrong in another frontend points to where it was asked for', async () => {
  const failed = new BuildError(Code.NotFound, 'no such image');
  const lines = async (text: string, opts: Record<string, string>, answer: Error) => {
    const error = (await build(text, opts, BASE, answer).catch((e: unknown) => e)) as BuildError;
    const source = error.findDetail('errdefs.Source') as { ranges: { start: { line: number } }[] } | undefined;
    return [error.code, error.message, source?.ranges[0].start.line];
  };
  assert.deepEqual(await lines('#!/bin/x\n# syntax=x/y\nFROM scratch', {}, failed), [
    Code.NotFound,
    'no such image',
    2,
  ]);
  const own = failed.withDetail({
    typeUrl: 'github.com/moby/buildkit/errdefs.Source+json',
    value: Buffer.from('{"ranges":[{"start":{"line":7}}]}'),
  });
  assert.deepEqual(await lines('# syntax=x/y\nFROM scratch', {}, own), [Code.NotFound, 'no such image', 7]);
  assert.deepEqual(await lines('FROM scratch', { 'build-arg:BUILDKIT_SYNTAX': 'x/y' }, failed), [
    Code.Unknown,
    'failed with build-arg:BUILDKIT_SYNTAX = x/y: no such image',
    undefined,
  ]);
});

void test('subrequests', async () => {
  const { metadata } = await build('# x the one\nFROM a AS x\nFROM b\n', { requestid: 'frontend.targets' });
  const text = Buffer.from(metadata.get('result.txt') as Uint8Array).toString();
  assert.equal(text, 'TARGET    DESCRIPTION\nx         the one\n(default) \n');
  const dockerfile = [
    'ARG part=box',
    '# base what to take',
    'ARG base="busy${part}"',
    'ARG unused=1',
    'FROM $base AS first',
    'ARG part',
    'RUN --mount=type=secret,id=key,required=true --mount=type=ssh true',
    '# target the one',
    'FROM scratch AS target',
    'ARG N=1',
    'COPY --from=first / /',
    'FROM other',
    'ARG no',
  ].join('\n');
  const outline = await build(dockerfile, { requestid: 'frontend.outline', target: 'target', 'build-arg:N': '2' });
  const json = JSON.parse(Buffer.from(outline.metadata.get('result.json') ?? '').toString());
  assert.deepEqual(
    [json.name, json.description, json.sources, json.secrets, json.ssh],
    [
      'target',
      'the one',
      [Buffer.from(dockerfile).toString('base64')],
      [{ name: 'key', required: true, location: { ranges: [{ start: { line: 7 }, end: { line: 7 } }] } }],
      [{ name: 'default', location: { ranges: [{ start: { line: 7 }, end: { line: 7 } }] } }],
    ],
  );
  assert.equal(
    Buffer.from(outline.metadata.get('result.txt') ?? '').toString(),
    [
      'TARGET:      target',
      'DESCRIPTION: the one',
      '',
      'BUILD ARG   VALUE     DESCRIPTION',
      'part        box       ',
      'base        busybox   what to take',
      'N           2         ',
      '',
      'SECRET   REQUIRED',
      'key      true',
      '',
      'SSH       REQUIRED',
      'default   ',
      '',
      '',
    ].join('\n'),
  );
  const lint = await build('FROM a\nCMD x\nFOO\n', { requestid: 'frontend.lint' });
  const report = JSON.parse(Buffer.from(lint.metadata.get('result.json') as Uint8Array).toString());
  assert.match(report.buildError.message, /unknown instruction: FOO/);
  assert.equal(report.warnings, null);
  // Where the Dockerfile itself comes from.
  assert.equal(report.sources[0].definition.def.length, 2);
  assert.deepEqual(Object.values(report.sources[0].definition.Source), [
    { [Object.keys(report.sources[0].definition.Source.locations)[0]]: {} },
  ]);
  const clean = await build('FROM a\nCMD x\n', { requestid: 'frontend.lint' });
  assert.match(
    Buffer.from(clean.metadata.get('result.txt') as Uint8Array).toString(),
    /WARNING: JSONArgsRecommended - .*\n.*\nDockerfile:2\n-+\n   1 \|     FROM a\n   2 \| >>> CMD x\n/,
  );
  await assert.rejects(build('FROM a', { requestid: 'x' }), /unsupported request x/);
});

void test("frontend.convertllb gives the ops by their digests, in protobuf's JSON", async () => {
  const dockerfile = 'FROM scratch\nRUN --network=none --mount=type=cache,target=/c ["x", "<&>"]\n';
  const { metadata } = await build(dockerfile, { requestid: 'frontend.convertllb' });
  assert.deepEqual([...metadata.keys()], ['result.json', 'version']);
  assert.equal(Buffer.from(metadata.get('version') ?? '').toString(), '0.1.0');
  const text = Buffer.from(metadata.get('result.json') ?? '').toString();
  const { def, metadata: steps, source } = JSON.parse(text);
  const [[digest, op]] = Object.entries<Record<string, any>>(def).filter(([, { exec }]) => exec !== undefined);
  const [[last, output]] = Object.entries<Record<string, any>>(def).filter(([key]) => key !== digest);
  assert.deepEqual(output, { inputs: [{ digest }] });
  assert.deepEqual(op.exec.meta.args, ['x', '<&>']);
  assert.deepEqual(
    [op.exec.network, op.exec.mounts],
    [
      'NONE',
      [
        { input: '-1', dest: '/' },
        { input: '-1', dest: '/c', output: '-1', mountType: 'CACHE', cacheOpt: { ID: '//c' } },
      ],
    ],
  );
  assert.deepEqual(op.platform, { Architecture: 'amd64', OS: 'linux' });
  assert.deepEqual(Object.keys(steps), [digest, last].toSorted());
  assert.equal(
    steps[digest].description['llb.customname'],
    '[stage-0 1/1] RUN --network=none --mount=type=cache,target=/c ["x", "<&>"]',
  );
  assert.equal(steps[digest].caps['exec.mount.cache'], true);
  assert.deepEqual(source.locations[digest], { locations: [{ ranges: [{ start: { line: 2 }, end: { line: 2 } }] }] });
  assert.equal(source.infos[0].data, Buffer.from(dockerfile).toString('base64'));
  // As Go writes it: two blanks a level, nothing that HTML could trip over.
  assert.ok(text.startsWith('{\n  "def": {\n    "sha256:'));
  assert.ok(text.includes('\\u003c\\u0026\\u003e') && !/[<>&]/.test(text));
});
