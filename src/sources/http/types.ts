import type { TimeNs } from '../../base/index.ts';
import type { Transport } from '../../http/index.ts';
import type { Digest } from '../../oci/index.ts';
import type { SessionManager } from '../../session/types.ts';
import type { CacheAccessor } from '../../storage/types.ts';

export interface HttpSourceDeps {
  readonly sessions: SessionManager;
  readonly accessor: CacheAccessor;
  readonly http: Transport;
}

/** What a URL stands for during one build. */
export interface Download {
  readonly digest: Digest;
  readonly filename: string;
  readonly lastModified?: TimeNs;
  /** The record that has the file; held until the build ends. */
  readonly refId: string;
}
