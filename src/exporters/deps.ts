import type { ContentStore } from '../content/types.ts';
import type { Registry, RegistryAuth } from '../registry/types.ts';
import type { SessionManager } from '../session/types.ts';
import type { ImageStore } from '../storage/index.ts';

/** What exporters work with; made once by the daemon. */
export interface ExporterDeps {
  readonly content: ContentStore;
  readonly sessions: SessionManager;
  readonly registry: Registry;
  /** Credentials that the session's client gives for pushes. */
  readonly auth?: (sessionId: string) => RegistryAuth;
  /** undefined: images are not kept by name, `store` and `unpack` do nothing. */
  readonly images?: ImageStore;
}
