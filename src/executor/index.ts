/**
 * Runs processes in containers: mounts and a meta go in, an OCI bundle is run by runc. Deliberately absent: LLB, caches.
 */
export type * from './types.ts';
export { createRuncExecutor } from './runc-executor.ts';
export type { RuncExecutor, RuncExecutorOptions } from './runc-executor.ts';
export { createNetworks } from './network/index.ts';
export type { NetworkOptions, Networks } from './network/index.ts';
export { readSystemUsage, Sampler } from './usage/index.ts';
export type { Sampling, StepUsage, SystemSample } from './usage/index.ts';
export { DeviceRegistry } from './cdi/index.ts';
export type { Device, DeviceRequest } from './cdi/index.ts';
