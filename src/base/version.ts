/** What the daemon and the client say of themselves: the upstream version whose behaviour they follow. */
export const VERSION = {
  package: 'buildkit-ts',
  version: 'v0.32.0',
  revision: '',
  /** Version of the built-in Dockerfile frontend. */
  dockerfile: '1.26.0',
} as const;
