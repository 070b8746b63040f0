/** A daemon that is killed, and clients that die, at every moment: no wrong result afterwards, and nothing left. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon, processesWith } from './daemon.ts';
import { until } from './process.ts';
import { cannotRun, makeScratch, mountsBelow, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const GROUP = `crash-test-${process.pid}`;
const KILLS = 5;
const FILES = 150;

/** This test's part of the cgroup tree, in each of its hierarchies. */
function groups(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => join(line.split(' ')[4] as string, GROUP, 'buildkit'))
    .filter((path) => existsSync(path));
}

const groupsInUse = (): string[] =>
  groups().flatMap((at) =>
    readdirSync(at, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(at, entry.name)),
  );

void describe('crashes', { skip: cannotRun, timeout: 240_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  const into = (path: string): string => join(scratch.folder, path);
  const exportTo = (name: string): string[] => ['--output', `type=local,dest=${into(name)}`];

  before(async () => {
    scratch = await makeScratch();
    writeFileSync(into('buildkitd.toml'), `[worker.oci]\n  defaultCgroupParent = "${GROUP}"\n`);
    daemon = await Daemon.start(scratch.folder);
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
    for (const group of groups()) {
      rmdirSync(group);
      rmdirSync(join(group, '..'));
    }
  });

  const nothingIsLeft = async (): Promise<void> => {
    await until('nothing is in use', async () => (await daemon.usage()).every((entry) => !entry.inUse));
    await until('nothing is mounted', () => mountsBelow(daemon.root).length === 0);
    assert.deepEqual(groupsInUse(), []);
    const bundles = readdirSync(join(daemon.root, 'executor')).filter((name) => name !== 'runc-state');
    assert.deepEqual(bundles, []);
    const state = join(daemon.root, 'executor/runc-state');
    assert.deepEqual(existsSync(state) ? readdirSync(state) : [], []);
  };

  void test('killed while it receives a context: the next build has what is there now', async () => {
    const args = writeContext(into('context'), { Dockerfile: 'FROM scratch\nCOPY . /\n' });
    const names = Array.from({ length: FILES }, (_, i) => `dir${i % 7}/file${i}`);
    // Every version has the same size: only times and contents differ.
    const write = (version: number): void => {
      for (const [i, name] of names.entries()) {
        if (version > 0 && (i * 7 + version) % 3 === 0) continue;
        writeContext(into('context'), { [name]: `${version} ${'x'.repeat(i === 0 ? 3_000_000 : 2000)}` });
      }
    };
    write(0);
    const started = performance.now();
    const first = await daemon.buildctl([], [...args, ...exportTo('files')]);
    assert.equal(first.code, 0, first.stderr);
    const whole = performance.now() - started;
    for (let kill = 1; kill <= KILLS; kill++) {
      write(kill);
      const victim = daemon.spawnBuildctl([...args, ...exportTo('files')]);
      await new Promise((resolve) => setTimeout(resolve, (whole * kill) / KILLS));
      await daemon.kill();
      await victim.ended;
      await daemon.restart();
      rmSync(into('files'), { recursive: true, force: true });
      const { code, stderr } = await daemon.buildctl([], [...args, ...exportTo('files')]);
      assert.equal(code, 0, stderr);
      for (const name of names) {
        const got = readFileSync(join(into('files'), name), 'utf8');
        const wanted = readFileSync(join(into('context'), name), 'utf8');
        assert.ok(got === wanted, `kill ${kill}: ${name} is ${got.slice(0, 9)}, not ${wanted.slice(0, 9)}\n${stderr}`);
      }
    }
    await nothingIsLeft();
  });

  void test('killed while containers run: the next build has their cache mount for itself, and nothing of them lives', async () => {
    const dockerfile = (script: string): string => {
      const stage = (i: number): string =>
        `FROM busybox AS s${i}\nRUN --mount=type=cache,id=c${i},sharing=locked,target=/c ${script} # ${i}\n`;
      return `${[0, 1, 2].map(stage).join('')}FROM scratch\n${[0, 1, 2].map((i) => `COPY --from=s${i} /log /log${i}\n`).join('')}`;
    };
    const forever = writeContext(into('forever'), {
      Dockerfile: dockerfile('touch /log; while :; do echo old >> /c/log; usleep 1000; done; true 7233'),
    });
    const once = writeContext(into('once'), {
      Dockerfile: dockerfile('echo new > /c/log; sleep 1; cp /c/log /log; true 7234'),
    });
    for (const moment of ['early', 'late']) {
      const victim = daemon.spawnBuildctl([...forever, ...scratch.busybox]);
      await until('some runtime is there', () => groupsInUse().length > 0, 30_000);
      if (moment === 'late') await until('all steps run', () => processesWith('true 7233').length >= 3, 30_000);
      await daemon.kill();
      await victim.ended;
      await daemon.restart();
      assert.deepEqual(processesWith('true 7233'), []);
      assert.deepEqual(processesWith(daemon.root).length, 1);
      rmSync(into('once-out'), { recursive: true, force: true });
      const { code, stderr } = await daemon.buildctl(
        [],
        [...once, ...scratch.busybox, '--no-cache', ...exportTo('once-out')],
      );
      assert.equal(code, 0, stderr);
      for (const i of [0, 1, 2]) assert.equal(readFileSync(join(into('once-out'), `log${i}`), 'utf8'), 'new\n');
      await nothingIsLeft();
    }
  });

  void test('clients killed in a step, in an export and in a transfer leave nothing in use', async () => {
    mkdirSync(into('large'));
    const step = writeContext(into('step'), {
      Dockerfile: 'FROM busybox\nRUN --mount=type=cache,target=/c echo running; sleep 7235\n',
    });
    const large = writeContext(into('large'), { Dockerfile: 'FROM scratch\nCOPY . /\n', file: 'y'.repeat(30_000_000) });
    const one = daemon.spawnBuildctl([...step, ...scratch.busybox]);
    await one.says('running');
    one.signal('SIGKILL');
    await one.ended;
    const two = daemon.spawnBuildctl([...large, ...exportTo('large-out')]);
    await until('files are exported', () => existsSync(into('large-out')), 30_000);
    two.signal('SIGKILL');
    await two.ended;
    writeContext(into('large'), { file: 'z'.repeat(30_000_000) });
    const three = daemon.spawnBuildctl([...large]);
    await three.says('transferring context');
    three.signal('SIGKILL');
    await three.ended;
    await nothingIsLeft();
    await until('its process is gone', () => processesWith('sleep 7235').length === 0);
    await daemon.ask('prune', '--all');
    assert.deepEqual(await daemon.usage(), []);
  });

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());
});
