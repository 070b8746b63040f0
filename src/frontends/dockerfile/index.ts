/**
 * The frontend `dockerfile.v0`. In goes the build as a GatewayClient shows it, with its options and its context; out come
 * a ref and an image configuration for each platform. Deliberately absent: everything that runs, fetches or stores.
 */
export { dockerfileFrontend } from './frontend.ts';
export { parseGitRef } from './git-ref.ts';
export { namedContext } from './named-context.ts';
