/** A daemon whose disk is full: it says so, starts again, makes room and builds on. */
import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { mustRun, until } from './process.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { stepsThat } from './steps.ts';

const MB = 1 << 20;

/** Writes until there is no room for another byte. */
function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (const size of [MB, 4096, 1]) {
      try {
        for (;;) writeSync(file, Buffer.alloc(size, 1));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
      }
    }
  } finally {
    closeSync(file);
  }
}

void describe('full disk', { skip: cannotRun, timeout: 120_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;

  const build = (name: string, dockerfile: string): ReturnType<Daemon['buildctl']> =>
    daemon.buildctl([], [...writeContext(join(scratch.folder, name), { Dockerfile: dockerfile }), ...scratch.busybox]);
  const KEPT = 'FROM busybox\nRUN head -c 20000000 /dev/urandom > /kept\n';
  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(daemon.root);
    return bavail * bsize;
  };

  before(async () => {
    scratch = await makeScratch();
    const root = join(scratch.folder, 'root');
    mkdirSync(root);
    await mustRun('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', root]);
    daemon = await Daemon.start(scratch.folder);
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
  });

  void test('a step that fills it fails, and takes nothing that was kept with it', async () => {
    const first = await build('kept', KEPT);
    assert.equal(first.code, 0, first.stderr);
    const filling = await build('filling', 'FROM busybox\nRUN head -c 200000000 /dev/zero > /all\n');
    assert.notEqual(filling.code, 0);
    assert.match(filling.stderr, /did not complete successfully: exit code: 1/);
    await until('what it wrote is gone', () => freeBytes() > 20 * MB);
    await until('room is kept aside again', () => existsSync(join(daemon.root, 'reserve')));
    const again = await build('kept', KEPT);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(stepsThat(again.stderr, 'ran'), [], again.stderr);
  });

  void test('a build says how full it is and what pruning would free', async () => {
    fill(join(daemon.root, 'filler'));
    const { code, stderr } = await build('no-room', 'FROM busybox\nRUN echo no room > /x\n');
    assert.notEqual(code, 0);
    assert.match(stderr, /ResourceExhausted: .*(no space left on device|disk is full)/);
    assert.match(
      stderr,
      /of 67\.11MB are free on the disk of \S+\/root, "buildctl prune --all" would free 2\d\.\d\dMB\)/,
    );
  });

  void test('a daemon that was killed starts on it, again and again', async () => {
    for (const time of ['once', 'twice']) {
      await daemon.kill();
      await daemon.restart();
      // What its predecessor had begun is gone.
      fill(join(daemon.root, time));
    }
    assert.match(await daemon.ask('debug', 'workers'), /linux\//);
  });

  void test('prune makes room, and the next build is right', async () => {
    await daemon.ask('prune', '--all');
    assert.deepEqual(await daemon.usage(), []);
    await until('the files are gone', () => freeBytes() > 15 * MB);
    const small = await build('small', 'FROM busybox\nRUN echo room > /x\n');
    assert.equal(small.code, 0, small.stderr);
    for (const name of ['filler', 'once', 'twice']) rmSync(join(daemon.root, name));
    const { code, stderr } = await build('kept', KEPT);
    assert.equal(code, 0, stderr);
  });

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());
});
