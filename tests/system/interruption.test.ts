/** Several clients at once, clients that give up, and a daemon that dies. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon, processesWith } from './daemon.ts';
import { until } from './process.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { stepsThat } from './steps.ts';

/** Its result tells one run of the step from another. */
const slow = (seconds: number, word: string): string =>
  `FROM busybox AS run
RUN cat /proc/sys/kernel/random/uuid > /id; echo started ${word}; sleep ${seconds}; echo ended ${word}
FROM scratch
COPY --from=run /id /
`;

void describe('interruption', { skip: cannotRun, timeout: 200_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;

  const into = (path: string): string => join(scratch.folder, path);
  const context = (name: string, dockerfile: string, out = name): string[] => {
    const args = writeContext(into(name), { Dockerfile: dockerfile });
    return [...args, ...scratch.busybox, '--output', `type=local,dest=${into(`out-${out}`)}`];
  };
  const idIn = (out: string): string => readFileSync(join(into(`out-${out}`), 'id'), 'utf8');

  before(async () => {
    scratch = await makeScratch();
    daemon = await Daemon.start(scratch.folder);
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
  });

  void test('two clients at once share a step', async () => {
    const first = daemon.spawnBuildctl(context('share', slow(3, 'share'), 'first'));
    const second = daemon.spawnBuildctl(context('share', slow(3, 'share'), 'second'));
    const [a, b] = await Promise.all([first.ended, second.ended]);
    assert.equal(a.code, 0, a.stderr);
    assert.equal(b.code, 0, b.stderr);
    assert.equal(idIn('first'), idIn('second'));
  });

  void test('a client that gives up does not take the step away from another one', async () => {
    const first = daemon.spawnBuildctl(context('leave', slow(4, 'leave'), 'leaving'));
    await first.says('started leave');
    const second = daemon.spawnBuildctl(context('leave', slow(4, 'leave'), 'staying'));
    await second.says('started leave');
    first.signal('SIGINT');
    const gone = await first.ended;
    assert.notEqual(gone.code, 0);
    const { code, stderr } = await second.ended;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^#\d+ [\d.]+ ended leave$/m);
    // Once and no more: a step that had begun anew would have told so again.
    assert.equal(stderr.match(/^#\d+ [\d.]+ started leave$/gm)?.length, 1, stderr);
  });

  void test('a step that nobody waits for any more is stopped', async () => {
    const alone = daemon.spawnBuildctl(context('alone', slow(7231, 'alone')));
    await alone.says('started alone');
    await until('its process runs', () => processesWith('sleep 7231').length > 0);
    alone.signal('SIGINT');
    await alone.ended;
    await until('its process is gone', () => processesWith('sleep 7231').length === 0, 15_000);
  });

  void test('a daemon that was killed starts again, keeps its cache and builds', async () => {
    const kept = context('kept', slow(0, 'kept'));
    const before = await daemon.buildctl([], kept);
    assert.equal(before.code, 0, before.stderr);
    const id = idIn('kept');

    const victim = daemon.spawnBuildctl(context('victim', slow(7232, 'victim')));
    await victim.says('started victim');
    await until('its process runs', () => processesWith('sleep 7232').length > 0);
    await daemon.kill();
    const { code } = await victim.ended;
    assert.notEqual(code, 0);

    await daemon.restart();
    await until('what it had started is gone', () => processesWith('sleep 7232').length === 0, 15_000);
    const after = await daemon.buildctl([], kept);
    assert.equal(after.code, 0, after.stderr);
    assert.deepEqual(stepsThat(after.stderr, 'ran'), [], after.stderr);
    assert.equal(idIn('kept'), id);

    const good = await daemon.buildctl([], context('victim', slow(0, 'survivor')));
    assert.equal(good.code, 0, good.stderr);
  });

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());
});
