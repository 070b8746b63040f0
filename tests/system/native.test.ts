/** A daemon that cannot use overlayfs. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect } from '../../src/client/index.ts';
import { Daemon } from './daemon.ts';
import { buildArguments, cannotRun, makeScratch, project } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { stepsThat } from './steps.ts';

void describe('native snapshotter', { skip: cannotRun, timeout: 120_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;

  before(async () => {
    scratch = await makeScratch();
    daemon = await Daemon.start(scratch.folder, '--oci-worker-snapshotter', 'native');
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
  });

  void test('it says so', async () => {
    assert.match(await daemon.ask('debug', 'workers', '--verbose'), /worker\.snapshotter:\s+native/);
  });

  void test('a build, and the same from the cache', async () => {
    const out = join(scratch.folder, 'out');
    const args = [...buildArguments(join(project, 'examples/hello')), ...scratch.busybox];
    const first = await daemon.buildctl([], [...args, '--output', `type=local,dest=${out}`]);
    assert.equal(first.code, 0, first.stderr);
    assert.match(readFileSync(join(out, 'greeting.txt'), 'utf8'), /^Hello, Ada!\n/);
    const second = await daemon.buildctl([], [...args, '--output', `type=oci,dest=${join(scratch.folder, 'x.tar')}`]);
    assert.equal(second.code, 0, second.stderr);
    assert.deepEqual(stepsThat(second.stderr, 'ran'), [], second.stderr);
  });

  void test('an empty definition is scratch, and ends', async () => {
    const client = await connect(daemon.address);
    try {
      const definition = { def: [], metadata: new Map(), Source: undefined };
      const signal = AbortSignal.timeout(20_000);
      const { exporterResponse } = await client.solve({
        definition,
        signal,
        exports: [{ type: 'image', attrs: new Map() }],
      });
      assert.match(exporterResponse.get('containerimage.digest') ?? '', /^sha256:[0-9a-f]{64}$/);
    } finally {
      await client.close();
    }
  });

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());
});
