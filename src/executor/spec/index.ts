/**
 * A process and its surroundings go in, the `config.json` of an OCI bundle (runtime spec 1.0.2) comes out. Deliberately
 * absent: touching files, resolving users or mounts, running anything.
 */
export { buildSpec } from './build-spec.ts';
export type { OciSpec, SpecInput, SpecNetwork } from './build-spec.ts';
export { hostFacts } from './host-facts.ts';
export type { HostFacts } from './host-facts.ts';
export { cgroupMode } from './resources.ts';
export type { CgroupMode } from './resources.ts';
export type { SpecMount } from './mounts.ts';
