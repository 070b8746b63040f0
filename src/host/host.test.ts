import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { deviceNumbers, getXattr, listXattrs, lockFile, mknod, mount, mountPoints, openInRoot } from './index.ts';
import { resolveInRoot, setTimes, setXattr, spawnProcess, startProgram, unmount } from './index.ts';
import type { StartRequest } from './index.ts';

const skip = process.getuid?.() !== 0;

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'host-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

void test('links stay below the root', (t) => {
  const root = folder(t);
  writeFileSync(join(root, 'file'), 'inside');
  symlinkSync('/../../file', join(root, 'out'));
  symlinkSync('loop', join(root, 'loop'));
  assert.equal(resolveInRoot(root, '/out'), join(root, 'file'));
  assert.equal(resolveInRoot(root, '../../new/entry'), join(root, 'new/entry'));
  assert.throws(() => resolveInRoot(root, 'loop'), { code: 'ELOOP' });
  assert.throws(() => resolveInRoot(root, 'file/below'), { code: 'ENOTDIR' });
  const fd = openInRoot(root, 'out', 0);
  assert.equal(readFileSync(fd, 'utf8'), 'inside');
  closeSync(fd);
  assert.throws(() => openInRoot(root, 'absent', 0), { code: 'ENOENT' });
});

void test('times are exact', (t) => {
  const path = join(folder(t), 'f');
  writeFileSync(path, '');
  setTimes(path, 1n, 123456789123456789n);
  assert.equal(statSync(path, { bigint: true }).mtimeNs, 123456789123456789n);
  setTimes(path, undefined, -1n);
  assert.equal(statSync(path, { bigint: true }).atimeNs, 1n);
});

void test('a lock has one holder', (t) => {
  const path = join(folder(t), 'lock');
  const lock = lockFile(path);
  assert.throws(() => lockFile(path), { code: 'EWOULDBLOCK' });
  lock.release();
  lockFile(path).release();
});

void test('mounts are all or nothing', { skip }, (t) => {
  const dir = join(folder(t), 'm');
  mkdirSync(dir);
  const tmpfs = { type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'size=1m'] };
  assert.throws(() => mount([tmpfs, { ...tmpfs, type: 'no-such-type' }], dir), { code: 'ENODEV' });
  assert.deepEqual(mountPoints(dir), []);
  mount([tmpfs], dir);
  try {
    assert.deepEqual(mountPoints(dir), [dir]);
    mknod(join(dir, 'gone'), 0o020000, 0, 0);
    assert.deepEqual(deviceNumbers(statSync(join(dir, 'gone')).rdev), { major: 0, minor: 0 });
    setXattr(dir, 'trusted.overlay.opaque', Buffer.from('y'));
    assert.ok(listXattrs(dir).includes('trusted.overlay.opaque'));
    assert.equal(getXattr(dir, 'trusted.overlay.opaque')?.toString(), 'y');
    assert.equal(getXattr(dir, 'trusted.none'), undefined);
  } finally {
    unmount(dir);
  }
  unmount(dir);
  assert.ok(!existsSync(join(dir, 'gone')));
});

void test('a volatile overlay can be mounted again, by others and after a crash', { skip }, (t) => {
  const dir = folder(t);
  const [lower, upper, work, one, two] = ['l', 'u', 'w', 'm1', 'm2'].map((name) => join(dir, name));
  for (const path of [lower, upper, work, one, two]) mkdirSync(path);
  const options = ['index=off', 'volatile', `workdir=${work}`, `upperdir=${upper}`, `lowerdir=${lower}`];
  const overlay = { type: 'overlay', source: 'overlay', options };
  mount([overlay], one);
  try {
    writeFileSync(join(one, 'file'), 'x');
    mount([overlay], two);
    assert.equal(readFileSync(join(two, 'file'), 'utf8'), 'x');
  } finally {
    unmount(two);
    unmount(one);
  }
  mkdirSync(join(work, 'work/incompat/volatile'), { recursive: true });
  mount([overlay], one);
  try {
    assert.ok(!existsSync(join(work, 'work/incompat')));
  } finally {
    unmount(one);
  }
});

void test('a program is started without a fork, as Node starts one', async () => {
  type Run = (
    command: string,
    args: string[],
    rest?: Partial<StartRequest>,
    start?: typeof startProgram,
  ) => Promise<string>;
  const run: Run = async (command, args, rest = {}, start = startProgram) => {
    const child = await start({ command, args, stdio: ['pipe', 'pipe', 'inherit'], ...rest });
    // Most of them end without having read it.
    child.stdin?.on('error', () => {}).end('typed');
    let said = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
    if (child.stdout !== null) await once(child.stdout, 'close');
    assert.deepEqual(await child.exited, { code: 0, signal: null });
    assert.equal(child.kill('SIGKILL'), false);
    return said;
  };
  assert.equal(await run('cat', []), 'typed');
  assert.equal(await run('/bin/echo', ['a b', '', 'ü']), 'a b  ü\n');
  assert.equal(await run('/usr/bin/env', [], { env: { ONE: '1', NONE: undefined, TWO: 'a=b' } }), 'ONE=1\nTWO=a=b\n');
  const signals = await run('/bin/grep', ['-E', '^Sig(Blk|Ign)', '/proc/self/status']);
  assert.match(signals, /^SigBlk:\t0+\nSigIgn:\t0+\n$/);
  const own =
    'exec 3< /proc/self/stat; read -r pid _ _ _ group session _ <&3; [ $pid = $group ] && [ $pid = $session ]; echo $?';
  assert.equal(await run('/bin/sh', ['-c', own], { detached: true }), '0\n');
  assert.equal(await run('/bin/sh', ['-c', own]), '1\n');
  assert.equal(await run('/bin/sh', ['-c', '[ -p /dev/stdin ] && [ -p /dev/stdout ] && echo pipes']), 'pipes\n');
  // What this process itself was given and did not open (and nothing else) is its children's as well, Node's or these.
  assert.equal(await run('/bin/ls', ['/proc/self/fd']), await run('/bin/ls', ['/proc/self/fd'], {}, spawnProcess));
});

void test('a program that was started is reaped, whatever its end, and nothing is kept of it', async () => {
  const stdio = ['ignore', 'ignore', 'ignore'] as const;
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  const many = await Promise.all(
    Array.from({ length: 20 }, (_, i) => startProgram({ command: '/bin/sh', args: ['-c', `exit ${i}`], stdio })),
  );
  const codes = await Promise.all(many.map(async (child) => (await child.exited).code));
  assert.deepEqual(
    codes,
    many.map((_, i) => i),
  );
  const sleeper = await startProgram({ command: '/bin/sleep', args: ['9'], stdio });
  assert.equal(sleeper.kill('SIGTERM'), true);
  assert.deepEqual(await sleeper.exited, { code: null, signal: 'SIGTERM' });
  await assert.rejects(startProgram({ command: '/no/such', args: [], stdio: ['pipe', 'pipe', 'pipe'] }), {
    code: 'ENOENT',
  });
  await assert.rejects(startProgram({ command: '/etc/passwd', args: [], stdio }), { code: 'EACCES' });
  await assert.rejects(startProgram({ command: '/bin/echo', args: ['a\0b'], stdio }), { code: 'EINVAL' });
  // Streams that were given up close with the next turn.
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(descriptors(), before);
  assert.equal(process.listenerCount('SIGCHLD'), 0);
});

void test('a child is reaped, and killed by its signal', async () => {
  const stdio = ['ignore', 'ignore', 'ignore'] as const;
  const child = await spawnProcess({ command: '/bin/sh', args: ['-c', 'exit 3'], stdio });
  assert.deepEqual(await child.exited, { code: 3, signal: null });
  const stop = new AbortController();
  const sleeper = await spawnProcess({ command: '/bin/sleep', args: ['9'], stdio, signal: stop.signal });
  stop.abort();
  assert.deepEqual(await sleeper.exited, { code: null, signal: 'SIGKILL' });
  await assert.rejects(spawnProcess({ command: '/no/such', args: [], stdio }), { code: 'ENOENT' });
});

void test(
  'a process that cannot be started for want of descriptors takes none',
  { skip: process.platform !== 'linux' },
  async () => {
    const program = `
    import { openSync, closeSync, readdirSync } from 'node:fs';
    import { spawnProcess, startProgram } from ${JSON.stringify(import.meta.resolve('./index.ts'))};
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    // What is opened once for all is open then.
    await (await startProgram({ command: '/bin/true', args: [], stdio: ['pipe'] })).exited;
    for (let i = 0; i < 3; i++) await turn();
    const count = () => readdirSync('/proc/self/fd').length;
    const fill = [];
    try { for (;;) fill.push(openSync('/dev/null')); } catch {}
    for (let spare = 1; spare < 9; spare++) {
      closeSync(fill.pop());
      const before = spare > 1 ? count() : 0;
      const request = { command: '/bin/true', args: [], stdio: ['pipe', 'pipe', 'pipe'] };
      const error = await spawnProcess(request).catch((e) => e);
      if (spare < 6) {
        const other = await startProgram(request).catch((e) => e);
        if (other.code !== 'EMFILE') throw new Error(spare + ': ' + other);
        await turn();
      }
      if (error.code !== 'EMFILE') throw new Error(spare + ': ' + error);
      if (spare > 1 && count() !== before) throw new Error(spare + ': ' + count() + ' instead of ' + before);
    }`;
    const args = ['-c', 'ulimit -n 60; exec "$0" --input-type=module --disable-warning=ExperimentalWarning -e "$1"'];
    const stdio = ['ignore', 'ignore', 'pipe'] as const;
    const child = await spawnProcess({ command: '/bin/sh', args: [...args, process.execPath, program], stdio });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
    assert.equal((await child.exited).code, 0, said);
  },
);
