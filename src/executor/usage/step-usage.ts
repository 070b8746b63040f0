import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readGroupUsage } from './group-usage.ts';
import type { GroupSample } from './group-usage.ts';
import { Sampler } from './sampler.ts';
import { cpuBetween, readCpuSeconds } from './system-usage.ts';
import type { CpuSeconds } from './system-usage.ts';

/** What a step used, and what the whole machine did meanwhile. */
export interface StepUsage {
  readonly samples?: readonly GroupSample[];
  readonly sysCPUStat?: CpuSeconds;
}

const MAX_SAMPLES = 10;
const ROOT = '/sys/fs/cgroup';

/**
 * From when the process runs; to be called before its group goes. Undefined where the groups are not those of cgroup v2, or
 * where only the runtime knows the group.
 */
export function recordStepUsage(group: string, root = ROOT, proc = '/proc'): (() => StepUsage) | undefined {
  if (!group.startsWith('/') || !existsSync(join(root, 'cgroup.controllers'))) return undefined;
  const folder = join(root, group);
  const cpu = (): CpuSeconds => readCpuSeconds(readFileSync(join(proc, 'stat'), 'utf8'));
  const before = cpu();
  const sampler = new Sampler((time) => readGroupUsage(folder, time), MAX_SAMPLES);
  return () => {
    const samples = sampler.stop();
    return { ...(samples.length === 0 ? {} : { samples }), sysCPUStat: cpuBetween(before, cpu()) };
  };
}
