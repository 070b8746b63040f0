/** Images to and from a real registry. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { Registry } from './registry.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { stepsThat } from './steps.ts';

const skip = cannotRun || (existsSync('/usr/bin/docker-registry') ? false : 'needs docker-registry');

void describe('push and pull', { skip, timeout: 150_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let registry: Registry;
  let name: string;

  const into = (path: string): string => join(scratch.folder, path);

  before(async () => {
    scratch = await makeScratch();
    registry = await Registry.start(scratch.folder);
    name = `${registry.host}/tests/hello:1`;
    daemon = await Daemon.start(scratch.folder);
  });
  after(async () => {
    await daemon?.end();
    await registry?.stop();
    await scratch?.remove();
  });

  void test('a build is pushed under its digest', async () => {
    const context = writeContext(into('pushed'), {
      Dockerfile: 'FROM busybox\nLABEL made=here\nRUN echo pushed > /where\nENV WHERE=/where\n',
    });
    const output = ['--output', `type=image,name=${name},push=true`, '--metadata-file', into('metadata.json')];
    const { code, stderr } = await daemon.buildctl([], [...context, ...scratch.busybox, ...output]);
    assert.equal(code, 0, stderr);
    const { digest, body } = await registry.manifest('tests/hello', '1');
    const metadata = JSON.parse(readFileSync(into('metadata.json'), 'utf8'));
    assert.equal(metadata['containerimage.digest'], digest);
    const manifest =
      body.manifests === undefined ? body : (await registry.manifest('tests/hello', body.manifests[0].digest)).body;
    assert.equal(manifest.layers.length, 2);
  });

  void test('it is pulled again, with its files and its config', async () => {
    await daemon.ask('prune', '--all');
    const context = writeContext(into('pulled'), {
      Dockerfile: `FROM ${name} AS pulled\nRUN cp "$WHERE" /copy\nFROM scratch\nCOPY --from=pulled /copy /where /\n`,
    });
    const output = ['--output', `type=local,dest=${into('files')}`];
    const { code, stderr } = await daemon.buildctl([], [...context, ...output]);
    assert.equal(code, 0, stderr);
    assert.equal(readFileSync(join(into('files'), 'copy'), 'utf8'), 'pushed\n');
    assert.equal(readFileSync(join(into('files'), 'where'), 'utf8'), 'pushed\n');
    const again = await daemon.buildctl([], [...context, ...output]);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(stepsThat(again.stderr, 'ran'), [], again.stderr);
  });

  void test('an image that is not there is an error that says so', async () => {
    const context = writeContext(into('missing'), { Dockerfile: `FROM ${registry.host}/tests/missing:1\nRUN true\n` });
    const { code, stderr } = await daemon.buildctl([], context);
    assert.notEqual(code, 0);
    assert.match(stderr, /tests\/missing:1: not found/);
  });

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());
});
