import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { runProgram } from './index.ts';
import type { ProgramExit } from './index.ts';

interface Ran extends ProgramExit {
  readonly out: string;
  readonly err: string;
}

async function shell(
  script: string,
  options: { signal?: AbortSignal; idleMs?: number; cwd?: string; onOutput?: () => void } = {},
): Promise<Ran> {
  const said = ['', ''];
  const exit = await runProgram({
    command: 'sh',
    args: ['-c', script],
    env: { PATH: process.env.PATH ?? '', GIVEN: 'yes' },
    ...options,
    onOutput: (stream, data) => {
      said[stream - 1] += data.toString();
      options.onOutput?.();
    },
  });
  return { ...exit, out: said[0], err: said[1] };
}

const isAlive = (pid: string): boolean => {
  try {
    // A zombie that nobody has looked after yet is dead.
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

/** Waits until it is gone; the signal that ends it is on its way. */
async function end(pid: string): Promise<void> {
  for (let i = 0; isAlive(pid); i++) {
    assert.ok(i < 1000, `${pid} still runs`);
    await setTimeout(10);
  }
}

void test('exit codes, both outputs, the environment that was given, files for all to read', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'run-program-'));
  const before = process.umask(0o077);
  try {
    const ran = await shell('echo out; echo err >&2; touch file; echo $GIVEN $HOME; exit 3', { cwd: dir });
    assert.deepEqual(ran, { code: 3, isStalled: false, out: 'out\nyes\n', err: 'err\n' });
    assert.equal(statSync(join(dir, 'file')).mode & 0o777, 0o644);
  } finally {
    process.umask(before);
    rmSync(dir, { recursive: true });
  }
  assert.equal((await shell('exec no-such-program')).code, 127);
});

void test('what it started ends with it, and with the build', async () => {
  const left = await shell('sleep 1000 >/dev/null 2>&1 & echo $!; exit 0');
  assert.equal(left.code, 0);
  await end(left.out.trim());

  const abort = new AbortController();
  const ended = await shell('sleep 1000 & echo $!; wait', {
    signal: abort.signal,
    onOutput: () => abort.abort(),
  });
  assert.deepEqual([ended.code, ended.isStalled], [143, false]);
  await end(ended.out.trim());
  await assert.rejects(shell('true', { signal: abort.signal }), { name: 'AbortError' });
});

void test('a program that does nothing is ended, one that works is not', async () => {
  const idle = await shell('sleep 1000', { idleMs: 200 });
  assert.deepEqual([idle.code, idle.isStalled], [143, true]);
  const busy = await shell('i=0; while [ $i -lt 20 ]; do sleep 0.05; read -r x < /proc/self/stat; i=$((i+1)); done', {
    idleMs: 900,
  });
  assert.deepEqual([busy.code, busy.isStalled], [0, false]);
});
