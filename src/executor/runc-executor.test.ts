import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { BuildError, Code, Deferred, canceled, sleep } from '../base/index.ts';
import { mountPoints, spawnProcess } from '../host/index.ts';
import { createRuncExecutor } from './index.ts';
import type { ExecMount, ProcessIo, ProcessMeta, RuncExecutor } from './index.ts';

const BUSYBOX = '/bin/busybox';
const RUNC = ['/usr/sbin/runc', '/usr/bin/runc', '/usr/local/bin/runc'].find((path) => existsSync(path));
const skip =
  process.getuid?.() !== 0 || RUNC === undefined || !existsSync(BUSYBOX)
    ? 'needs root, runc and a static busybox'
    : false;

function bindOf(source: string): ExecMount['source'] {
  return {
    // oxlint-disable-next-line require-await
    async mounts({ readonly }) {
      held++;
      return {
        mounts: [{ type: 'bind', source, options: ['rbind', readonly ? 'ro' : 'rw'] }],
        release: async () => void held--,
      };
    },
  };
}

let held = 0;

const META: ProcessMeta = {
  args: ['/bin/busybox', 'true'],
  env: ['PATH=/bin'],
  cwd: '/',
  user: '',
  readonlyRootfs: false,
  hostname: '',
  extraHosts: [],
  ulimits: [],
  cgroupParent: '',
  network: 'none',
  security: 'sandbox',
  validExitCodes: [],
  removeMountStubsRecursive: false,
  tty: false,
};

const sh = (script: string): string[] => ['/bin/busybox', 'sh', '-c', script];

class Output extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

/** Processes whose arguments hold `text`. */
function processesWith(text: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}

/** The tests' own part of the cgroup tree: other daemons of this machine are in `buildkit`. */
const OWN_GROUP = `executor-test-${process.pid}`;

/** Groups of that path below the tests' own part, in every hierarchy. */
function groups(path: string): string[] {
  return mountPoints('/sys/fs/cgroup')
    .map((point) => join(point, OWN_GROUP, path))
    .filter((group) => existsSync(group));
}

describe('runc executor', { skip, concurrency: 4 }, () => {
  let base: string;
  let executor: RuncExecutor;
  let count = 0;

  function makeRoot(): string {
    const dir = join(base, `root-${count++}`);
    mkdirSync(join(dir, 'bin'), { recursive: true });
    mkdirSync(join(dir, 'etc'));
    mkdirSync(join(dir, 'tmp'), { mode: 0o777 });
    copyFileSync(BUSYBOX, join(dir, 'bin/busybox'));
    writeFileSync(join(dir, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\nann:x:1000:1001::/:/bin/sh\n');
    writeFileSync(join(dir, 'etc/group'), 'root:x:0:\nann:x:1001:\nextra:x:2000:bob,ann\n');
    return dir;
  }

  const mountOf = (dir: string, more: Partial<ExecMount> = {}): ExecMount => ({
    source: bindOf(dir),
    selector: '',
    dest: '/',
    readonly: false,
    ...more,
  });

  async function run(
    meta: Partial<ProcessMeta>,
    options: {
      root?: string;
      mounts?: ExecMount[];
      id?: string;
      signal?: AbortSignal;
      io?: ProcessIo;
      onStarted?: () => void;
      executor?: RuncExecutor;
    } = {},
  ): Promise<string> {
    const out = new Output();
    await (options.executor ?? executor).run(
      options.id,
      mountOf(options.root ?? makeRoot()),
      options.mounts ?? [],
      { ...META, ...meta },
      options.io ?? { stdout: out, stderr: out },
      {
        signal: options.signal ?? new AbortController().signal,
        ...(options.onStarted ? { onStarted: options.onStarted } : {}),
      },
    );
    return out.text;
  }

  before(() => {
    base = realpathSync(mkdtempSync(join(tmpdir(), 'executor-')));
    executor = createRuncExecutor({ root: join(base, 'executor'), binary: RUNC as string, cgroupParent: OWN_GROUP });
  });

  after(async () => {
    await executor.close();
    assert.deepEqual(mountPoints(base), []);
    assert.deepEqual(
      readdirSync(join(base, 'executor')).filter((name) => name !== 'runc-state'),
      [],
    );
    assert.deepEqual(processesWith(base), []);
    assert.equal(held, 0);
    // Empty, or they cannot be removed.
    for (const group of [...groups('buildkit'), ...groups('')]) rmdirSync(group);
    rmSync(base, { recursive: true, force: true });
  });

  test('output, environment, working directory and user', async () => {
    const root = makeRoot();
    const text = await run(
      {
        args: sh('echo $GREETING; busybox pwd; busybox id; echo late >&2; busybox stat -c %u:%g .'),
        env: ['PATH=/bin', 'GREETING=hello'],
        cwd: '/work/deep',
        user: 'ann',
      },
      { root },
    );
    // Both streams end in one text: only the order within each of them is said.
    assert.match(
      text.replace('late\n', ''),
      /^hello\n\/work\/deep\nuid=1000\(ann\) gid=1001\(ann\) groups=.*2000\(extra\)\n1000:1001\n$/,
    );
    assert.match(text, /late\n/);
    assert.equal(lstatSync(join(root, 'work')).uid, 1000);
  });

  test('an exit code is an error with its code, unless it is said to be valid', async () => {
    await assert.rejects(run({ args: sh('exit 3') }), (error: BuildError) => {
      assert.equal(error.message, 'exit code: 3');
      assert.deepEqual(error.findDetail('gatewayapi.ExitMessage'), { Code: 3 });
      return true;
    });
    await run({ args: sh('exit 3'), validExitCodes: [2, 3] });
    await assert.rejects(run({ args: sh('exit 0'), validExitCodes: [3] }), /exit code: 0/);
  });

  test('the files about names, and no trace of them afterwards', async () => {
    const root = makeRoot();
    const before = lstatSync(join(root, 'etc')).nlink;
    const text = await run(
      {
        args: sh('busybox cat /etc/hosts; busybox hostname; busybox grep -c nameserver /etc/resolv.conf'),
        hostname: 'box',
        extraHosts: [{ host: 'peer', ip: '10.0.0.9' }],
      },
      { root },
    );
    assert.match(
      text,
      /127\.0\.0\.1\tlocalhost box\n::1\tlocalhost ip6-localhost ip6-loopback\n10\.0\.0\.9\tpeer\nbox\n[1-9]/,
    );
    assert.deepEqual(readdirSync(join(root, 'etc')).sort(), ['group', 'passwd']);
    assert.equal(lstatSync(join(root, 'etc')).nlink, before);
  });

  test('mounts, with a part of one, read-only or not', async () => {
    const root = makeRoot();
    const data = join(base, 'data');
    mkdirSync(join(data, 'sub'), { recursive: true });
    writeFileSync(join(data, 'sub/file'), 'inside');
    symlinkSync('/sub', join(data, 'link'));
    const source = { type: 'overlay', source: 'overlay', options: [`lowerdir=${data}:${root}`] };
    const overlay: ExecMount['source'] = {
      // oxlint-disable-next-line require-await
      mounts: async () => (held++, { mounts: [source], release: async () => void held-- }),
    };
    const mounts = [
      mountOf(data, { dest: '/data' }),
      mountOf(data, { dest: '/part', selector: 'link', readonly: true }),
      mountOf(data, { dest: '/one', selector: '/sub/file', readonly: true }),
      mountOf(data, { source: overlay, dest: '/over', selector: 'sub', readonly: true }),
    ];
    const text = await run(
      {
        args: sh('busybox cat /part/file /one /over/file; echo new > /data/made; echo no > /part/made || echo refused'),
      },
      { root, mounts },
    );
    // Both streams end in one text: which is first is not said.
    assert.match(text, /insideinsideinside/);
    assert.match(text, /refused/);
    assert.equal(readFileSync(join(data, 'made'), 'utf8'), 'new\n');
    assert.ok(!existsSync(join(root, 'data')) && !existsSync(join(root, 'part')) && !existsSync(join(root, 'one')));
    await assert.rejects(run({}, { mounts: [mountOf(data, { dest: '/x', selector: 'absent' })] }), /no such file/i);
  });

  test('input is given and its end is seen; onStarted comes before output', async () => {
    const out = new Output();
    let seen: string | undefined;
    await run(
      { args: sh('busybox cat') },
      { io: { stdin: Readable.from(['a', 'b']), stdout: out }, onStarted: () => (seen = out.text) },
    );
    assert.equal(out.text, 'ab');
    assert.equal(seen, '');
  });

  test('much output to a slow reader arrives whole', async () => {
    let bytes = 0;
    const slow = new Writable({
      highWaterMark: 1024,
      write: (chunk: Buffer, _e, done) => ((bytes += chunk.length), setTimeout(done, 1)),
    });
    await run({ args: sh('busybox head -c 3000000 /dev/zero') }, { io: { stdout: slow } });
    assert.equal(bytes, 3_000_000);
  });

  test('abort kills, also where nobody reads the output', async () => {
    for (const script of ['busybox sleep 1000', 'busybox yes']) {
      const abort = new AbortController();
      const id = `abort${count++}`;
      const stuck = new Writable({ highWaterMark: 1, write: () => {} });
      const running = run(
        { args: sh(script), cgroupParent: 'aborted' },
        { id, signal: abort.signal, io: { stdout: stuck } },
      );
      setTimeout(() => abort.abort(canceled()), 300);
      await assert.rejects(running, (error: BuildError) => error.code === Code.Canceled);
      assert.deepEqual(processesWith(id), []);
      assert.ok(!existsSync(join(base, 'executor', id)));
      assert.deepEqual(groups('buildkit/aborted'), []);
    }
  });

  test('a group that containers shared goes with the last of them, whatever their ends overlap', async () => {
    const parents = ['shared', 'shared/deep', 'sharedtoo'];
    const ends = parents.flatMap((parent) => [1, 2].map(() => run({ args: sh('true'), cgroupParent: parent })));
    await Promise.all(ends);
    assert.deepEqual(
      parents.flatMap((parent) => groups(`buildkit/${parent}`)),
      [],
    );
  });

  test('further processes in a container', async () => {
    const abort = new AbortController();
    const root = makeRoot();
    const running = run({ args: sh('busybox sleep 1000') }, { id: 'many', root, signal: abort.signal });
    running.catch(() => {});
    const out = new Output();
    const exec = (args: string[], signal = abort.signal): Promise<void> =>
      executor.exec('many', { ...META, args, env: [], cwd: '/tmp', user: '1000:5' }, { stdout: out }, { signal });
    await exec(sh('busybox id -u; busybox id -g; busybox pwd'));
    assert.equal(out.text, '1000\n5\n/tmp\n');
    await assert.rejects(exec(sh('exit 7')), /^BuildError: exit code: 7$/);
    const one = new AbortController();
    const slow = exec(sh('busybox sleep 999'), one.signal);
    setTimeout(() => one.abort(canceled()), 200);
    await assert.rejects(slow, /context canceled/);
    const last = exec(sh('busybox sleep 998'));
    last.catch(() => {});
    await sleep(100);
    abort.abort(canceled());
    await assert.rejects(running, /context canceled/);
    await assert.rejects(last);
    await assert.rejects(exec(sh('true'), new AbortController().signal), /container many not found/);
    assert.deepEqual(processesWith('sleep\x00998'), []);
  });

  test('signals reach the process', async () => {
    const signals = new PassThrough({ objectMode: true });
    const out = new Output();
    const running = run(
      { args: sh('trap "exit 9" TERM; echo up; while :; do busybox sleep 0.05; done') },
      { io: { stdout: out, signals } },
    );
    running.catch(() => {});
    while (out.text === '') await sleep(20);
    signals.write('SIGTERM');
    await assert.rejects(running, /exit code: 9/);
  });

  test('a terminal: typed into, resized, hung up, for the first process and a further one', async () => {
    /** Types a line whenever the prompt stands. */
    const session = async (start: (io: ProcessIo, signal: AbortSignal) => Promise<void>): Promise<string> => {
      const out = new Output();
      const stdin = new PassThrough();
      const resizes = new PassThrough({ objectMode: true });
      const abort = new AbortController();
      const ended = start({ stdin, stdout: out, stderr: out, resizes }, abort.signal);
      ended.catch(() => {});
      const prompts = async (count: number): Promise<void> => {
        while (out.text.split('% ').length - 1 < count) await sleep(20);
      };
      await prompts(1);
      resizes.write({ rows: 40, cols: 80 });
      // The size is on its way through the runtime.
      for (let asked = 1; !out.text.includes('40 80') && asked < 100; asked++) {
        stdin.write('busybox stty size\n');
        await prompts(asked + 1);
      }
      stdin.write('busybox tty; exit 7\n');
      await assert.rejects(ended, /exit code: 7/);
      return out.text;
    };
    const meta = { ...META, tty: true, args: ['/bin/busybox', 'sh'], env: ['PATH=/bin', 'PS1=% '] };
    const first = await session((io, signal) => run(meta, { io, signal }).then(() => {}));
    assert.match(first, /40 80\r+\n/);
    assert.match(first, /\/dev\/(pts\/0|console)\r+\n/);
    const abort = new AbortController();
    const holder = run({ args: sh('busybox sleep 996') }, { id: 'terminal', signal: abort.signal });
    holder.catch(() => {});
    const second = await session((io, signal) => executor.exec('terminal', meta, io, { signal }));
    assert.match(second, /40 80\r+\n/);
    const killed = new AbortController();
    const out = new Output();
    const hanging = executor.exec(
      'terminal',
      meta,
      { stdout: out, stdin: new PassThrough() },
      { signal: killed.signal },
    );
    hanging.catch(() => {});
    while (!out.text.includes('% ')) await sleep(20);
    killed.abort(canceled());
    await assert.rejects(hanging, /context canceled/);
    abort.abort(canceled());
    await assert.rejects(holder, /context canceled/);
    const terminals = readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith('/dev/pt');
      } catch {
        return false;
      }
    });
    assert.deepEqual(terminals, []);
  });

  test('links in place of /dev, and users that are not there, are refused before anything runs', async () => {
    const root = makeRoot();
    const outside = join(base, 'outside');
    mkdirSync(outside);
    symlinkSync(outside, join(root, 'dev'));
    await assert.rejects(run({}, { root }), (error: BuildError) => error.code === Code.FailedPrecondition);
    assert.deepEqual(readdirSync(outside), []);
    await assert.rejects(run({ user: 'nobody' }), /unable to find user nobody: no matching entries in passwd file/);
    await assert.rejects(run({}, { id: '../x' }), /only letters and numbers/);
  });

  test("a runtime's own failure is not the step's exit code; a program that is missing is", async () => {
    const failing = join(base, 'failing-runc');
    const line = '{"level":"error","msg":"runc run failed: mkdir x: no space left on device"}';
    writeFileSync(failing, `#!/bin/sh\n[ "$7" = run ] || exit 0\necho '${line}' > "$4"\nexit 1\n`, { mode: 0o755 });
    const other = createRuncExecutor({ root: join(base, 'failing'), binary: failing, cgroupParent: OWN_GROUP });
    await assert.rejects(
      run({}, { executor: other }),
      (error: BuildError) =>
        error.code === Code.ResourceExhausted && error.findDetail('gatewayapi.ExitMessage') === undefined,
    );
    await other.close();
    const err = new Output();
    await assert.rejects(run({ args: ['/bin/absent'] }, { io: { stderr: err } }), /exit code: \d+/);
    assert.match(err.text, /absent/);
  });

  test('what a killed predecessor left is cleared', async () => {
    const root = makeRoot();
    const place = join(base, 'crash');
    const script = `
      import { createRuncExecutor } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
      const executor = createRuncExecutor({ root: ${JSON.stringify(place)}, binary: ${JSON.stringify(RUNC)},
        cgroupParent: ${JSON.stringify(OWN_GROUP)} });
      const source = { mounts: async () => ({ mounts: [{ type: 'bind', source: ${JSON.stringify(root)}, options: ['rbind'] }], release: async () => {} }) };
      await executor.run('left', { source, selector: '', dest: '/', readonly: false }, [], ${JSON.stringify({ ...META, args: sh('echo up; busybox sleep 997'), cgroupParent: 'killed' })},
        { stdout: process.stdout }, { signal: new AbortController().signal });`;
    const daemon = await spawnProcess({
      command: process.execPath,
      args: ['--input-type=module', '-e', script],
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const up = new Deferred();
    daemon.stdout?.on('data', () => up.resolve());
    await up.promise;
    daemon.kill('SIGKILL');
    await daemon.exited;
    assert.notDeepEqual(mountPoints(place), []);
    assert.notDeepEqual(groups('buildkit/killed/left'), []);
    const next = createRuncExecutor({ root: place, binary: RUNC as string, cgroupParent: OWN_GROUP });
    await next.killLeftovers();
    assert.deepEqual(mountPoints(place), []);
    assert.deepEqual(readdirSync(place), ['runc-state']);
    assert.deepEqual(readdirSync(join(place, 'runc-state')), []);
    assert.deepEqual(processesWith('sleep\x00997'), []);
    assert.deepEqual(processesWith(place), []);
    assert.deepEqual(groups('buildkit/killed'), []);
    assert.equal(await run({ args: sh('echo again') }, { executor: next, root, id: 'left' }), 'again\n');
    await next.close();
  });
});
