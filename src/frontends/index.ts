/**
 * Frontends: what turns a request of a user's language into LLB. In goes a GatewayClient, out comes a BuildResult.
 * Deliberately absent: who runs them.
 */
export { dockerfileFrontend, parseGitRef } from './dockerfile/index.ts';
export { NotAnImage } from './not-an-image.ts';
export { createSbomScanner, sbomAttestation } from './sbom-scanner.ts';
export { checkFrontendCapabilities, findFrontendImage, frontendProcess, needsNoNetwork } from './gateway/index.ts';
export type { FrontendImage, FrontendProcess } from './gateway/index.ts';
export type * from './types.ts';
