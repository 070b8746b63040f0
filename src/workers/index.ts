/**
 * What the daemon says of its worker: id, labels, platforms, garbage collection policy. In come settings and the machine's
 * facts, out go values. Deliberately absent: running anything.
 */
export { createWorker, WorkerLabel } from './worker.ts';
export type { Worker, WorkerOptions } from './worker.ts';
export { bytesOf, defaultGcCaps, defaultGcPolicies } from './gc-policy.ts';
export type { DiskSpace, GcCaps } from './gc-policy.ts';
export { detectPlatforms } from './platforms.ts';
export type { PlatformFacts } from './platforms.ts';
