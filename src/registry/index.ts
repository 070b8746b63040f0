/**
 * A client of registries (OCI distribution): resolve, read, push, with mirrors, tokens, retries and resumed downloads. In come
 * references and credentials of whoever asks, out go descriptors and streams. Deliberately absent: images, caches, sessions.
 */
export type * from './types.ts';
export { createRegistry } from './create-registry.ts';
export type { ClosableRegistry, RegistryOptions } from './create-registry.ts';
