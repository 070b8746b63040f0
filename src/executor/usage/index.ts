/**
 * What work uses: samples of the machine and of cgroups (v2), as provenance tells them. In come files of the kernel, out go
 * values whose names are upstream's (executor/resources/types). Deliberately absent: cgroup v1, which upstream does not
 * read either.
 */
export { readGroupUsage } from './group-usage.ts';
export type { GroupSample } from './group-usage.ts';
export { Sampler } from './sampler.ts';
export type { Sampling } from './sampler.ts';
export { cpuBetween, readSystemUsage } from './system-usage.ts';
export type { CpuSeconds, SystemSample } from './system-usage.ts';
export type { StepUsage } from './step-usage.ts';
export { recordStepUsage } from './step-usage.ts';
