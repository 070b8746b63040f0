/** Limits of a process in the two shapes that a runtime takes: version 1's fields and version 2's files. */
import { BuildError, Code } from '../../base/index.ts';
import type { LinuxResources } from '../types.ts';

export type CgroupMode = 'v1' | 'v2' | 'hybrid';

export interface OciMemory {
  limit?: number;
  swap?: number;
}

export interface OciCpu {
  shares?: number;
  period?: number;
  quota?: number;
  cpus?: string;
  mems?: string;
}

export interface OciLimits {
  memory?: OciMemory;
  cpu?: OciCpu;
  unified?: Record<string, string>;
}

/**
 * How the host has laid out its control groups, from the text of `/proc/<pid>/mountinfo`. Hybrid is version 1 in charge
 * with a version 2 tree on the side.
 */
export function cgroupMode(mountinfo: string): CgroupMode {
  let v1 = false;
  let v2 = false;
  for (const line of mountinfo.split('\n')) {
    // Optional fields stand before the lone dash, the file system's type right after it.
    const type = / - (\S+) /.exec(line)?.[1];
    const mountPoint = line.split(' ', 5)[4] ?? '';
    if (mountPoint !== '/sys/fs/cgroup' && !mountPoint.startsWith('/sys/fs/cgroup/')) {
      continue;
    }
    v1 ||= type === 'cgroup';
    v2 ||= type === 'cgroup2';
  }
  if (v1) {
    return v2 ? 'hybrid' : 'v1';
  }
  return v2 ? 'v2' : 'v1';
}

/** Zero and empty mean "not set" throughout, as on the wire. */
export function linuxLimits(resources: LinuxResources | undefined, mode: CgroupMode): OciLimits {
  if (resources === undefined) {
    return {};
  }
  return mode === 'v2' ? v2Limits(resources) : v1Limits(resources);
}

function v1Limits(resources: LinuxResources): OciLimits {
  const memory: OciMemory = {};
  const cpu: OciCpu = {};
  if (resources.memory) memory.limit = resources.memory;
  if (resources.memorySwap) memory.swap = resources.memorySwap;
  if (resources.cpuShares) cpu.shares = resources.cpuShares;
  if (resources.cpuPeriod) cpu.period = resources.cpuPeriod;
  if (resources.cpuQuota) cpu.quota = resources.cpuQuota;
  if (resources.cpusetCpus) cpu.cpus = resources.cpusetCpus;
  if (resources.cpusetMems) cpu.mems = resources.cpusetMems;
  return {
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
  };
}

function v2Limits(resources: LinuxResources): OciLimits {
  const unified: Record<string, string> = {};
  if (resources.memory) {
    unified['memory.max'] = amount(resources.memory);
  }
  if (resources.memorySwap) {
    unified['memory.swap.max'] = swapAlone(resources.memorySwap, resources.memory ?? 0);
  }
  if (resources.cpuShares) {
    unified['cpu.weight'] = String(weightOfShares(resources.cpuShares));
  }
  if (resources.cpuQuota || resources.cpuPeriod) {
    const quota = resources.cpuQuota ? amount(resources.cpuQuota) : 'max';
    unified['cpu.max'] = resources.cpuPeriod ? `${quota} ${resources.cpuPeriod}` : quota;
  }
  if (resources.cpusetCpus) {
    unified['cpuset.cpus'] = resources.cpusetCpus;
  }
  if (resources.cpusetMems) {
    unified['cpuset.mems'] = resources.cpusetMems;
  }
  return Object.keys(unified).length === 0 ? {} : { unified };
}

function amount(value: number): string {
  return value < 0 ? 'max' : String(value);
}

/** Version 1 counts memory and swap together, version 2 swap alone. */
function swapAlone(total: number, memory: number): string {
  if (total < 0) {
    return 'max';
  }
  if (memory <= 0) {
    throw new BuildError(Code.InvalidArgument, 'unable to set swap limit without memory limit');
  }
  if (total < memory) {
    throw new BuildError(Code.InvalidArgument, 'memory+swap limit should be >= memory limit');
  }
  return String(total - memory);
}

/** Shares run from 2 to 262144, weights from 1 to 10000: stretched linearly, as runtimes do. */
function weightOfShares(shares: number): number {
  const clamped = Math.min(Math.max(shares, 2), 262144);
  return 1 + Math.floor(((clamped - 2) * 9999) / 262142);
}
