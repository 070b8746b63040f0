import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { cpuBetween, readGroupUsage, readSystemUsage, recordStepUsage, Sampler } from './index.ts';

const PSI = (some: string, full: string): string =>
  `some avg10=${some} avg60=0.12 avg300=0.00 total=4711\nfull avg10=${full} avg60=0.00 avg300=0.00 total=0\n`;

/** A recorded tree of the kernel's files. */
function tree(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'usage-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

const STAT = `cpu  10032 12 6311 38875510 383 0 115 424 0 0
cpu0 5016 6 3155 19437755 191 0 57 212 0 0
intr 123 0 9
ctxt 108445956
btime 1764073501
processes 865648
procs_running 13
procs_blocked 0
`;

void test('the machine: processors in seconds, memory in KiB, pressure where the kernel has it', (t) => {
  const proc = tree(t, {
    stat: STAT,
    meminfo: 'MemTotal:       24683656 kB\nMemFree:        18712308 kB\nHugePages_Total:       0\nDirty: 500 kB\n',
    'pressure/cpu': PSI('46.89', '0.00'),
  });
  const { timestamp, cpuStat, procStat, memoryStat, ...pressure } = readSystemUsage(1_500_000_000n, proc);
  assert.equal(timestamp, '1970-01-01T00:00:01.5Z');
  assert.deepEqual(cpuStat, {
    user: 100.32,
    nice: 0.12,
    system: 63.11,
    idle: 388755.1,
    iowait: 3.83,
    irq: 0,
    softirq: 1.15,
    steal: 4.24,
    guest: 0,
    guestNice: 0,
  });
  assert.deepEqual(procStat, { contextSwitches: 108445956, processCreated: 865648, processesRunning: 13 });
  assert.deepEqual([memoryStat.total, memoryStat.dirty, memoryStat.slab], [24683656, 500, null]);
  assert.deepEqual(pressure, {
    cpuPressure: {
      some: { avg10: 46.89, avg60: 0.12, avg300: 0, total: 4711 },
      full: { avg10: 0, avg60: 0, avg300: 0, total: 0 },
    },
  });
  assert.equal(cpuBetween(cpuStat, { ...cpuStat, user: 100.4449 }).user, 0.125);
  // The machine that this runs on.
  assert.ok((readSystemUsage(0n).memoryStat.total as number) > 0);
});

const GROUP = {
  'cpu.stat': 'usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n',
  'cpu.pressure': PSI('1.00', '0.00'),
  'memory.stat': 'anon 4096\nfile 8192\nkernel_stack 16384\npgfault 77\n',
  'memory.peak': '123456\n',
  'memory.swap.current': '0\n',
  'memory.events': 'low 0\nhigh 3\nmax 0\noom 0\noom_kill 1\n',
  'io.stat':
    '8:0 rbytes=100 wbytes=10 rios=2 wios=1 dbytes=0 dios=0\n254:0 rbytes=11 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n',
  'pids.current': '4\n',
};

void test('a group of cgroup v2', (t) => {
  const root = tree(t, GROUP);
  const sample = readGroupUsage(root, 0n);
  assert.deepEqual(sample?.cpuStat, {
    usageNanos: 1_500_000,
    userNanos: 1_000_000,
    systemNanos: 500_000,
    nrPeriods: 0,
    nrThrottled: 0,
    throttledNanos: 0,
    pressure: {
      some: { avg10: 1, avg60: 0.12, avg300: 0, total: 4711 },
      full: { avg10: 0, avg60: 0, avg300: 0, total: 0 },
    },
  });
  assert.deepEqual(sample.memoryStat, {
    swapBytes: 0,
    anon: 4096,
    file: 8192,
    kernelStack: 16384,
    pgfault: 77,
    peak: 123456,
    highEvents: 3,
    oomKillEvents: 1,
  });
  assert.deepEqual(sample.ioStat, {
    readBytes: 111,
    writeBytes: 10,
    discardBytes: 0,
    readIOs: 3,
    writeIOs: 1,
    discardIOs: 0,
  });
  assert.deepEqual(sample.pidsStat, { current: 4 });
  assert.equal(readGroupUsage(join(root, 'none'), 0n), undefined);
});

void test('a step has a last sample, and none where the groups are of v1 or systemd has them', (t) => {
  const root = tree(t, { 'cgroup.controllers': 'cpu memory\n', 'proc/stat': STAT });
  for (const [name, text] of Object.entries(GROUP)) {
    mkdirSync(join(root, 'buildkit/x'), { recursive: true });
    writeFileSync(join(root, 'buildkit/x', name), text);
  }
  const usage = recordStepUsage('/buildkit/x', root, join(root, 'proc'))?.();
  assert.equal(usage?.samples?.length, 1);
  assert.equal(usage.sysCPUStat?.user, 0);
  const gone = recordStepUsage('/buildkit/gone', root, join(root, 'proc'))?.();
  assert.deepEqual([gone?.samples, gone?.sysCPUStat?.user], [undefined, 0]);
  assert.equal(recordStepUsage('x.slice:id', root), undefined);
  assert.equal(recordStepUsage('/buildkit/x', tree(t, {})), undefined);
});

void test('a long step has about as many samples as a short one', async (t) => {
  let taken = 0;
  const sampler = new Sampler(() => ++taken, 4, 1);
  while (taken < 20) await setTimeout(1, undefined, { signal: t.signal });
  const samples = sampler.stop();
  assert.ok(samples.length >= 3 && samples.length <= 6, `${samples.length}`);
  assert.equal(samples[0], 1);
  assert.equal(samples.at(-1), taken);
  assert.equal(sampler.stop(), samples);
  const broken = new Sampler<number>(() => {
    throw new Error('gone');
  }, 4);
  assert.deepEqual(broken.stop(), []);
});
