import { join } from 'node:path';
import { formatTime } from '../../base/index.ts';
import type { TimeNs } from '../../base/index.ts';
import { keyedNumbers, readKernelFile, readPressure } from './kernel-file.ts';
import type { Pressure } from './kernel-file.ts';

const CPU_FIELDS = [
  'user',
  'nice',
  'system',
  'idle',
  'iowait',
  'irq',
  'softirq',
  'steal',
  'guest',
  'guestNice',
] as const;

/** Seconds since the machine started, of all processors. */
export type CpuSeconds = Readonly<Record<(typeof CPU_FIELDS)[number], number>>;

export interface SystemSample {
  readonly timestamp: string;
  readonly cpuStat: CpuSeconds;
  readonly procStat: {
    readonly contextSwitches: number;
    readonly processCreated: number;
    readonly processesRunning: number;
  };
  /** In KiB; null what the kernel does not tell. */
  readonly memoryStat: Readonly<Record<string, number | null>>;
  readonly cpuPressure?: Pressure;
  readonly memoryPressure?: Pressure;
  readonly ioPressure?: Pressure;
}

/** USER_HZ, which is 100 on every architecture that Linux has now. */
const TICKS = 100;

const MEMORY: Readonly<Record<string, string>> = {
  total: 'MemTotal',
  free: 'MemFree',
  available: 'MemAvailable',
  buffers: 'Buffers',
  cached: 'Cached',
  active: 'Active',
  inactive: 'Inactive',
  swap: 'SwapTotal',
  dirty: 'Dirty',
  writeback: 'Writeback',
  slab: 'Slab',
};

export function readCpuSeconds(stat: string): CpuSeconds {
  const ticks = (/^cpu\s+(.*)$/m.exec(stat)?.[1] ?? '').split(/\s+/).map(Number);
  return Object.fromEntries(CPU_FIELDS.map((name, i) => [name, (ticks[i] ?? 0) / TICKS])) as CpuSeconds;
}

/** What the processors did in between, to the millisecond. */
export function cpuBetween(before: CpuSeconds, after: CpuSeconds): CpuSeconds {
  const spent = (name: keyof CpuSeconds): number => Math.round((after[name] - before[name]) * 1000) / 1000;
  return Object.fromEntries(CPU_FIELDS.map((name) => [name, spent(name)])) as CpuSeconds;
}

/** `proc`: where the kernel's /proc is. */
export function readSystemUsage(time: TimeNs, proc = '/proc'): SystemSample {
  const stat = readKernelFile(join(proc, 'stat')) ?? '';
  const counters = keyedNumbers(stat);
  const memory = keyedNumbers(readKernelFile(join(proc, 'meminfo')) ?? '');
  const pressure = (what: string): Pressure | undefined => readPressure(join(proc, 'pressure', what));
  const sample = {
    timestamp: formatTime(time),
    cpuStat: readCpuSeconds(stat),
    procStat: {
      contextSwitches: counters.get('ctxt') ?? 0,
      processCreated: counters.get('processes') ?? 0,
      processesRunning: counters.get('procs_running') ?? 0,
    },
    memoryStat: Object.fromEntries(Object.entries(MEMORY).map(([name, key]) => [name, memory.get(key) ?? null])),
  };
  const pressures = { cpuPressure: pressure('cpu'), memoryPressure: pressure('memory'), ioPressure: pressure('io') };
  return { ...sample, ...defined(pressures) };
}

/** Without the fields that are undefined. */
export function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
