/** Dockerfiles for Windows as their users write them: versions, paths, and what is said where something is wrong. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { Registry } from './registry.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const skip = cannotRun || (existsSync('/usr/bin/docker-registry') ? false : 'needs docker-registry');
const VERSIONS = ['10.0.20348.1', '10.0.26100.1', '10.0.17763.1'];
const platforms = (...versions: string[]): string[] => [
  '--opt',
  `platform=${versions.map((version) => `windows(${version})/amd64`).join()}`,
];

void describe('Dockerfiles for Windows', { skip, timeout: 150_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let registry: Registry;
  let base: string;
  let count = 0;

  const into = (path: string): string => join(scratch.folder, path);
  const build = (dockerfile: string, ...more: string[]): ReturnType<Daemon['buildctl']> => {
    const context = writeContext(into(`context${count++}`), { Dockerfile: dockerfile, 'dir/a.txt': 'a' });
    return daemon.buildctl([], [...context, ...scratch.busybox, ...more]);
  };
  /** The configuration of an image that a build on the base gives. */
  const configOf = async (dockerfile: string, version: string): Promise<Record<string, any>> => {
    const push = ['--output', `type=image,name=${registry.host}/tests/app:1,push=true`];
    const { code, stderr } = await build(dockerfile, ...platforms(version), ...push);
    assert.equal(code, 0, stderr);
    const { body } = await registry.manifest('tests/app', '1');
    const answer = await fetch(`http://${registry.host}/v2/tests/app/blobs/${body.config.digest}`);
    return (await answer.json()) as Record<string, any>;
  };

  before(async () => {
    scratch = await makeScratch();
    registry = await Registry.start(scratch.folder);
    daemon = await Daemon.start(scratch.folder);
    base = `${registry.host}/tests/base:1`;
    const { code, stderr } = await build(
      'FROM scratch\nARG TARGETOSVERSION\nLABEL base=$TARGETOSVERSION\nENV Path=C:\\\\tools\n',
      ...platforms(...VERSIONS),
      '--output',
      `type=image,name=${base},push=true`,
    );
    assert.equal(code, 0, stderr);
  });
  after(async () => {
    await daemon?.end();
    await registry?.stop();
    await scratch?.remove();
  });

  void test('of an index the image that runs on the version, the nearest one', async () => {
    const rows = [
      ['10.0.17763.9', '10.0.17763.1'],
      ['10.0.20348', '10.0.20348.1'],
      ['10.0.25398', '10.0.20348.1'],
      ['10.0.26100.3', '10.0.26100.1'],
    ] as const;
    for (const [wanted, got] of rows) {
      const config = await configOf(`FROM ${base}\nENV PATH=C:\\\\app;$path\n`, wanted);
      assert.equal(config['os.version'], wanted);
      assert.deepEqual(config.config.Labels, { base: got });
      assert.deepEqual(config.config.Env, ['PATH=C:\\app;C:\\tools']);
    }
    const { code, stderr } = await build(`FROM ${base}\n`, ...platforms('10.0.19041'));
    assert.equal(code, 1);
    assert.match(stderr, /no match for platform in manifest/);
  });

  void test('a program that a stage of Linux has made, in an image for Windows', async () => {
    const dockerfile = [
      '# escape=`',
      'FROM --platform=$BUILDPLATFORM busybox AS make',
      'ARG TARGETOSVERSION',
      'RUN echo "MZ $TARGETOSVERSION" > /app.exe',
      `FROM ${base}`,
      'WORKDIR C:\\App',
      'COPY --from=make /app.exe bin\\',
      'COPY dir\\a.txt `',
      '     C:\\App\\data\\',
      'ENTRYPOINT bin\\app.exe',
      '',
    ].join('\n');
    const { config } = await configOf(dockerfile, '10.0.26100');
    assert.equal(config.WorkingDir, '\\App');
    assert.deepEqual(config.Entrypoint, ['cmd', '/S', '/C', 'bin\\app.exe']);
    const { code, stderr } = await build(
      dockerfile,
      ...platforms('10.0.26100'),
      '--output',
      `type=local,dest=${into('files')}`,
    );
    assert.equal(code, 0, stderr);
    assert.equal(readFileSync(join(into('files'), 'App/bin/app.exe'), 'utf8'), 'MZ 10.0.26100\n');
    assert.equal(readFileSync(join(into('files'), 'App/data/a.txt'), 'utf8'), 'a');
  });

  void test('what is wrong is said with its line', async () => {
    const rows = [
      ['COPY dir D:\\\\x', /The specified path is not on the system drive \(C:\)/],
      ['WORKDIR C:', /No relative path specified in "C:"/],
      ['COPY dir \\\\\\\\\\\\\\\\server\\\\share', /UNC paths are not supported/],
      ['COPY dir C:\\\\Nul.txt', /"Nul\.txt" is the name of a device/],
      ['STOPSIGNAL 9', /The daemon on this platform does not support the command stopsignal/],
      ['RUN dir', /"cmd \/S \/C dir" is for windows\(10\.0\.20348\)\/amd64: only a Windows worker/],
    ] as const;
    for (const [line, message] of rows) {
      const { code, stderr } = await build(`FROM ${base}\nCOPY dir .\n${line}\n`, ...platforms('10.0.20348'));
      assert.equal(code, 1, line);
      assert.match(stderr, message);
      assert.match(stderr, /^Dockerfile:3$/m, line);
      assert.doesNotMatch(stderr, /\] COPY dir \./, 'nothing has run');
    }
    const version = await build('FROM scratch\nCOPY dir .\n', ...platforms('ltsc2022'));
    assert.match(version.stderr, /"ltsc2022" is no version of windows: it must be major\.minor\.build\[\.revision\]/);
    const linux = await build('FROM busybox\nCOPY dir .\n', ...platforms('10.0.20348'));
    assert.match(linux.stderr, /base image busybox is for linux\/amd64, the build for windows/);
  });

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());
});
