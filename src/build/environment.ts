import type { BuildError } from '../base/index.ts';
import type { ContentStore } from '../content/types.ts';
import type { DeviceRegistry } from '../executor/index.ts';
import type { Executor } from '../executor/types.ts';
import type { Exporter } from '../exporters/types.ts';
import type { Frontend } from '../frontends/types.ts';
import type { Platform } from '../oci/index.ts';
import type { SourceSet } from '../ops/index.ts';
import type { SessionManager } from '../session/types.ts';
import type { RemoteCacheDeps, ResultMaker } from '../remotecache/index.ts';
import type { JobContext, Solver } from '../solver/index.ts';
import type { CacheAccessor } from '../storage/types.ts';
import type { ResolveSourceOptions } from '../frontends/types.ts';
import type { SourceMeta } from '../llb/index.ts';
import type { Entitlement } from './entitlements.ts';
import type { History } from './history/index.ts';

export interface WorkerInfo {
  readonly id: string;
  readonly labels: ReadonlyMap<string, string>;
  platforms(): readonly Platform[];
}

/** Looks a source up without making a snapshot of it: what gateway calls answer frontends with. */
export interface SourceMetaResolver {
  source(
    identifier: string,
    attrs: ReadonlyMap<string, string>,
    options: ResolveSourceOptions,
    context: JobContext,
  ): Promise<SourceMeta>;
}

/** Everything that builds share: made once by the daemon. */
export interface BuildEnvironment {
  readonly worker: WorkerInfo;
  readonly accessor: CacheAccessor;
  readonly content: ContentStore;
  readonly executor: Executor;
  readonly sessions: SessionManager;
  readonly solver: Solver;
  readonly sources: SourceSet;
  readonly metaResolver: SourceMetaResolver;
  readonly exporters: ReadonlyMap<string, Exporter>;
  readonly frontends: ReadonlyMap<string, Frontend>;
  /** The repositories whose images may be frontends, none is all; undefined where images may not be frontends. */
  readonly frontendRepositories: readonly string[] | undefined;
  readonly remoteCache: RemoteCacheDeps & ResultMaker;
  readonly history: History;
  /** Fields that provenance tells of this machine beside its own. */
  readonly provenanceEnv: ReadonlyMap<string, unknown>;
  readonly entitlements: ReadonlySet<Entitlement>;
  /** All builds get their network through a proxy. */
  readonly proxyNetwork: boolean;
  /** Of the host; undefined: builds get none. */
  readonly devices?: DeviceRegistry;
  /** Adds to a failure what only the daemon knows: for want of room on the disk, how much there is and what would make some. */
  readonly explain: (error: unknown) => Promise<BuildError>;
  /** Forgets the index of cache mounts of these ids, so that the next step finds them empty. */
  readonly dropCacheMounts: (ids: ReadonlyMap<string, boolean>) => Promise<void>;
}
