/** A daemon that runs out of file descriptors here or there: errors that say so, and all as before once there are some again. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { mustRun } from '../system/process.ts';
import { cannotRun } from '../system/scratch.ts';
import { Stand } from './stand.ts';

/** From too few for a transfer to enough for a build. */
const LIMITS = [46, 52, 56, 60, 64, 72, 96, 128];

void describe('few descriptors', { skip: cannotRun, timeout: 280_000 }, () => {
  let stand: Stand;

  before(async () => {
    stand = await Stand.start();
  });
  after(() => stand?.end());

  const allow = (descriptors: number): Promise<string> =>
    mustRun('prlimit', ['--pid', String(stand.daemon.pid), `--nofile=${descriptors}:`]);

  void test('builds fail for want of them or are right, and leave nothing', async () => {
    const outcomes: number[] = [];
    for (const limit of LIMITS) {
      await allow(limit);
      const { code, stderr } = await stand.build(`FROM busybox\nRUN echo ${limit} > /x\n`, ...stand.scratch.busybox);
      if (code !== 0) assert.match(stderr, /too many open files|EMFILE/, `with ${limit}`);
      outcomes.push(code);
    }
    await allow(1024);
    assert.notEqual(outcomes[0], 0);
    assert.equal(outcomes.at(-1), 0);
    const { code, stderr } = await stand.build('FROM busybox\nRUN echo enough > /x\n', ...stand.scratch.busybox);
    assert.equal(code, 0, stderr);
    await stand.nothingIsLeft();
  });

  void test('it stops and leaves nothing behind', () => {
    // Node waits for whoever looks inside.
    stand.inspector.close();
    return stand.daemon.stopWithoutLeaks();
  });
});
