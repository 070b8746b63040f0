/** Frontends that are images: started in containers, asked over their stdin and stdout, and what they do wrong. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect } from '../../src/client/index.ts';
import { mkfile, scratch as emptyState } from '../../src/llb/index.ts';
import { Daemon, processesWith } from './daemon.ts';
import { buildLayout, writeNodeContext } from './frontend-image.ts';
import { until } from './process.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const CAPS = 'moby.buildkit.frontend.inputs,moby.buildkit.frontend.contexts+more';

void describe('frontends in images', { skip: cannotRun, timeout: 280_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let image: { layout: string; digest: string; args: string[] };
  const into = (name: string): string => join(scratch.folder, name);

  before(async () => {
    scratch = await makeScratch();
    daemon = await Daemon.start(scratch.folder);
    const labels = { 'moby.buildkit.frontend.network.none': 'true', 'moby.buildkit.frontend.caps': CAPS };
    await writeNodeContext(into('image'), join(import.meta.dirname, 'frontend-program.ts'), labels);
    image = await buildLayout(daemon, 'front', into('image'));
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
  });

  const options = (opts: Readonly<Record<string, string>>): string[] =>
    Object.entries(opts).flatMap(([key, value]) => ['--opt', `${key}=${value}`]);
  const base = (source: string, args: readonly string[]): string[] => [
    'build',
    '--progress',
    'plain',
    '--frontend',
    'gateway.v0',
    '--opt',
    `source=${source}`,
    ...args,
  ];
  const run = (opts: Readonly<Record<string, string>>, ...more: string[]): ReturnType<Daemon['buildctl']> =>
    daemon.buildctl([], [...base('front', image.args), ...options(opts), ...more]);
  const told = async (opts: Readonly<Record<string, string>>): Promise<string> => {
    const dest = into('told');
    const { code, stderr } = await run(opts, '--output', `type=local,dest=${dest}`);
    assert.equal(code, 0, stderr);
    return readFileSync(join(dest, 'told'), 'utf8');
  };

  void test('it is told what it has to know, and has no network where its label says so', async () => {
    const { opts, platforms, ...rest } = JSON.parse(await told({ do: 'tell', 'a=b': 'c=d\n' })) as Record<string, any>;
    assert.equal(opts['a'], 'b=c=d\n');
    assert.equal(opts.source, 'front');
    assert.equal(platforms, true);
    assert.deepEqual(rest, {
      product: 'buildkit',
      hasSession: true,
      hasCaps: true,
      workersInEnvironment: 1,
      ownOps: 2,
      interfaces: ['lo'],
      inputs: [],
    });
  });

  void test('inputs reach it, where its label takes them', async () => {
    const client = await connect(daemon.address);
    try {
      const input = emptyState()
        .file(mkfile('/told', 0o644, Buffer.from('me')))
        .marshal();
      const ref = `oci-layout://front@${image.digest}`;
      await client.solve({
        frontend: 'gateway.v0',
        frontendAttrs: new Map([
          ['source', 'front'],
          ['context:front', ref],
          ['do', 'input'],
        ]),
        frontendInputs: new Map([['given', input]]),
        ociStores: new Map([['front', image.layout]]),
        exports: [{ type: 'local', attrs: new Map(), outputDir: into('inputs') }],
      });
      assert.equal(readFileSync(join(into('inputs'), 'told'), 'utf8'), 'read me');
    } finally {
      await client.channel.close();
    }
  });

  void test('a Dockerfile names it, or an argument does: what is built is the same', async () => {
    const lines = 'FROM scratch AS a\nCOPY f /f\nFROM scratch\nCOPY --from=a /f /g\n';
    const files = { Dockerfile: `# syntax=front\n${lines}`, f: 'text\n' };
    const args = writeContext(into('context'), files);
    const plain = writeContext(into('plain'), { Dockerfile: lines, f: 'text\n' });
    const digestOf = async (name: string, ...all: string[]): Promise<string> => {
      const { code, stderr } = await daemon.buildctl([], [...all, '--output', `type=oci,dest=${into(name)}`]);
      assert.equal(code, 0, stderr);
      assert.match(stderr, /COPY --from=a \/f \/g/);
      return /exporting config (sha256:\w+)/.exec(stderr)?.[1] ?? 'none';
    };
    const own = await digestOf('own.tar', ...plain);
    assert.equal(await digestOf('named.tar', ...args, ...image.args), own);
    const argument = ['--opt', 'build-arg:BUILDKIT_SYNTAX=front x'];
    assert.equal(await digestOf('argument.tar', ...plain, ...image.args, ...argument), own);
    const broken = writeContext(into('broken'), { Dockerfile: '# syntax=front\nFROM scratch\nCOPY none /\n' });
    const failed = await daemon.buildctl([], [...broken, ...image.args]);
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /Dockerfile:3\n(.|\n)*>>> COPY none \//);
  });

  void test('what it returned counts, though it hangs up before it ends', async () => {
    assert.equal(await told({ do: 'linger' }), 'said before');
  });

  void test('frontends ask for frontends', async () => {
    assert.equal(await told({ do: 'nest', levels: '2' }), 'the bottom');
  });

  void test('an error that it returns is the error of the build; so is its exit code', async () => {
    const message = async (opts: Readonly<Record<string, string>>): Promise<string> => {
      const { code, stderr } = await run(opts);
      assert.equal(code, 1, stderr);
      return stderr;
    };
    assert.match(await message({ do: 'fail' }), /failed to solve: .*the frontend does not want to/);
    assert.match(await message({ do: 'return and fail' }), /failed to solve: frontend front: exit code: 7/);
    assert.match(
      await message({ do: 'tell', 'frontend.caps': 'new.thing+x' }),
      /unsupported frontend capability new\.thing/,
    );
    assert.match(await message({ do: 'tell', 'gateway-devel': '1' }), /development gateway is no longer supported/);
  });

  void test('programs that speak no gRPC, or end early, are no more than failed builds', async () => {
    const frontend = async (name: string, script: string): Promise<string> => {
      mkdirSync(into(name));
      const lines = ['FROM busybox', `ENTRYPOINT ["sh", "-c", ${JSON.stringify(script)}]`];
      writeFileSync(join(into(name), 'Dockerfile'), lines.join('\n'));
      const { args } = await buildLayout(daemon, name, into(name), scratch.busybox);
      const { code, stderr } = await daemon.buildctl([], base(name, args));
      assert.equal(code, 1, stderr);
      return /failed to solve: (.*)/.exec(stderr)?.[1] ?? stderr;
    };
    const unexpected = 'frontend grpc server closed unexpectedly';
    assert.equal(await frontend('garbage', 'echo what is this; sleep 1000'), `frontend garbage: ${unexpected}`);
    assert.equal(await frontend('flood', 'cat /dev/zero'), `frontend flood: ${unexpected}`);
    assert.equal(await frontend('early', 'echo oops >&2; exit 3'), 'frontend early: exit code: 3');
    assert.equal(await frontend('silent', 'exit 0'), 'frontend silent: no result for incomplete build');
    assert.match(daemon.log, /oops/);
  });

  void test('a client that goes takes it along', async () => {
    const client = daemon.spawnBuildctl([...base('front', image.args), ...options({ do: 'wait' })]);
    const isUp = (): boolean => processesWith('/node /frontend.mjs').length > 0;
    await until('the frontend runs', isUp, 30_000);
    client.signal('SIGKILL');
    await client.ended;
    await until('the frontend has ended', () => !isUp());
  });

  void test('nothing stays behind', () => daemon.stopWithoutLeaks());
});
