/** One group of the cgroup v2 tree (Documentation/admin-guide/cgroup-v2.rst of the kernel). */
import { join } from 'node:path';
import { formatTime } from '../../base/index.ts';
import type { TimeNs } from '../../base/index.ts';
import { keyedNumbers, readKernelFile, readPressure } from './kernel-file.ts';
import type { Pressure } from './kernel-file.ts';
import { defined } from './system-usage.ts';

type Stat = Readonly<Record<string, number | Pressure>>;

export interface GroupSample {
  readonly timestamp: string;
  readonly cpuStat?: Stat;
  readonly memoryStat?: Stat;
  readonly ioStat?: Stat;
  readonly pidsStat?: Stat;
}

type Names = readonly (readonly [ours: string, kernel: string])[];

const CPU_NANOS: Names = [
  ['usageNanos', 'usage_usec'],
  ['userNanos', 'user_usec'],
  ['systemNanos', 'system_usec'],
];
const MEMORY: Names = [
  ['anon', 'anon'],
  ['file', 'file'],
  ['kernel', 'kernel'],
  ['kernelStack', 'kernel_stack'],
  ['pageTables', 'pagetables'],
  ['sock', 'sock'],
  ['vmalloc', 'vmalloc'],
  ['shmem', 'shmem'],
  ['fileMapped', 'file_mapped'],
  ['fileDirty', 'file_dirty'],
  ['fileWriteback', 'file_writeback'],
  ['slab', 'slab'],
  ['pgscan', 'pgscan'],
  ['pgsteal', 'pgsteal'],
  ['pgfault', 'pgfault'],
  ['pgmajfault', 'pgmajfault'],
];
const MEMORY_EVENTS: Names = [
  ['lowEvents', 'low'],
  ['highEvents', 'high'],
  ['maxEvents', 'max'],
  ['oomEvents', 'oom'],
  ['oomKillEvents', 'oom_kill'],
];
const IO: Names = [
  ['readBytes', 'rbytes'],
  ['writeBytes', 'wbytes'],
  ['discardBytes', 'dbytes'],
  ['readIOs', 'rios'],
  ['writeIOs', 'wios'],
  ['discardIOs', 'dios'],
];

/** `group`: the group's folder. Undefined where there is none. */
export function readGroupUsage(group: string, time: TimeNs): GroupSample | undefined {
  const cpu = readKernelFile(join(group, 'cpu.stat'));
  if (cpu === undefined) return undefined;
  const stats = {
    cpuStat: cpuStat(group, keyedNumbers(cpu)),
    memoryStat: memoryStat(group),
    ioStat: ioStat(group),
    pidsStat: stat([['current', single(group, 'pids.current')]]),
  };
  return { timestamp: formatTime(time), ...defined(stats) };
}

function stat(fields: Iterable<readonly [string, number | Pressure | undefined]>): Stat | undefined {
  const found = Object.fromEntries([...fields].filter(([, value]) => value !== undefined)) as Stat;
  return Object.keys(found).length === 0 ? undefined : found;
}

const pick = (names: Names, values: ReadonlyMap<string, number>, scale = 1): [string, number | undefined][] =>
  names.map(([ours, kernel]) => {
    const value = values.get(kernel);
    return [ours, value === undefined ? undefined : value * scale];
  });

function single(group: string, name: string): number | undefined {
  const text = readKernelFile(join(group, name))?.trim();
  return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
}

function cpuStat(group: string, values: ReadonlyMap<string, number>): Stat | undefined {
  return stat([
    ...pick(CPU_NANOS, values, 1000),
    ...pick(
      [
        ['nrPeriods', 'nr_periods'],
        ['nrThrottled', 'nr_throttled'],
      ],
      values,
    ),
    ...pick([['throttledNanos', 'throttled_usec']], values, 1000),
    ['pressure', readPressure(join(group, 'cpu.pressure'))],
  ]);
}

function memoryStat(group: string): Stat | undefined {
  const text = readKernelFile(join(group, 'memory.stat'));
  if (text === undefined) return undefined;
  const events = keyedNumbers(readKernelFile(join(group, 'memory.events')) ?? '');
  return stat([
    ['swapBytes', single(group, 'memory.swap.current')],
    ...pick(MEMORY, keyedNumbers(text)),
    ['peak', single(group, 'memory.peak')],
    ...pick(MEMORY_EVENTS, events).filter(([, count]) => count !== 0),
    ['pressure', readPressure(join(group, 'memory.pressure'))],
  ]);
}

/** Of all devices together. */
function ioStat(group: string): Stat | undefined {
  const text = readKernelFile(join(group, 'io.stat'));
  if (text === undefined) return undefined;
  const sums = new Map<string, number>();
  for (const [, name, value] of text.matchAll(/ (\w+)=(\d+)/g)) sums.set(name, (sums.get(name) ?? 0) + Number(value));
  return stat([...pick(IO, sums), ['pressure', readPressure(join(group, 'io.pressure'))]]);
}
