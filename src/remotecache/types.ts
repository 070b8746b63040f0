import type { StepProgress } from '../base/index.ts';
import type { RegistryAuth, Registry } from '../registry/types.ts';
import type { SessionManager } from '../session/types.ts';
import type { CachedResult } from '../solver/index.ts';

export interface RemoteCacheDeps {
  readonly registry: Registry;
  readonly sessions: SessionManager;
  /** Credentials of these clients. */
  readonly auth: (sessions: () => readonly string[], signal?: AbortSignal) => RegistryAuth;
}

export interface CacheContext {
  readonly signal: AbortSignal;
  readonly progress: StepProgress;
  /** The client that asked. */
  readonly sessionId: string;
}

/** One `--export-cache` that writes somewhere. */
export interface CacheExporter {
  /** e.g. `exporting cache to registry` */
  readonly name: string;
  /** A failure is the step's, not the build's. */
  readonly ignoreError: boolean;
  /** It is written into a folder of the client, who then names its manifest there. */
  readonly isAtClient: boolean;
  /** Results stay the caller's. Resolves to what goes into SolveResponse.ExporterResponse. */
  export(results: readonly CachedResult[], context: CacheContext): Promise<ReadonlyMap<string, string>>;
}
