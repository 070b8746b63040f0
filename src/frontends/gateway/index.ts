/**
 * The frontend `gateway.v0`, as far as it is a protocol: which image a build names, how its process is told what to do, what
 * its labels promise. Deliberately absent: the container that runs it, and the service that it calls back (build/).
 */
export { checkFrontendCapabilities, needsNoNetwork } from './labels.ts';
export { findFrontendImage } from './frontend-image.ts';
export type { FrontendImage } from './frontend-image.ts';
export { frontendProcess } from './frontend-process.ts';
export type { FrontendProcess } from './frontend-process.ts';
