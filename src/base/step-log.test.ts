import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noProgress } from './index.ts';
import { logLimits, StepLog } from './step-log.ts';

function logOf(size: number, speed: number) {
  const shown: string[] = [];
  const log = new StepLog({ ...noProgress, log: (_, data) => shown.push(Buffer.from(data).toString()) }, 1, {
    size,
    speed,
  });
  return { log, shown };
}

void test('limits come from the environment', () => {
  assert.deepEqual(logLimits({}), { size: 2097152, speed: 204800 });
  const env = { BUILDKIT_STEP_LOG_MAX_SIZE: '-1', BUILDKIT_STEP_LOG_MAX_SPEED: 'x' };
  assert.deepEqual(logLimits(env), { size: -1, speed: 204800 });
});

void test('too much is clipped once, and its end shown on demand', () => {
  const { log, shown } = logOf(2 << 20, -1);
  const line = `${'x'.repeat(1023)}\n`;
  for (let i = 0; i < 2050; i++) log.write(line);
  log.write('the end\n');
  assert.equal(shown.length, 2049);
  assert.equal(shown.at(-1), '\n[output clipped, log limit 2MiB reached]\n');
  log.showTail();
  assert.equal(shown.at(-1), `${line}${line}the end\n`);
  log.showTail();
  assert.equal(shown.length, 2050);
});

void test('too fast is clipped too', () => {
  const { log, shown } = logOf(2 << 20, 200 << 10);
  log.write(Buffer.alloc(300 << 10, 'y'));
  assert.equal(shown[0], `${'y'.repeat(200 << 10)}\n[output clipped, log limit 200KiB/s reached]\n`);
});

void test('of what was kept back only the newest is held', () => {
  const { log, shown } = logOf(0, -1);
  for (let i = 0; i < 10_000; i++) log.write(`${String(i).padStart(99)}\n`);
  log.showTail();
  const tail = shown.at(-1) as string;
  assert.equal(tail.length, 256 << 10);
  assert.ok(tail.endsWith(' 9999\n'));
});
