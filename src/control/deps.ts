import type { Builds, GatewayForwarder, History } from '../build/index.ts';
import type { Platform } from '../oci/index.ts';
import type { SessionRegistry } from '../session/index.ts';
import type { Solver } from '../solver/index.ts';
import type { CacheAccessor, PruneOptions } from '../storage/index.ts';
import type { TraceCollector } from '../trace/index.ts';

export interface DeviceList {
  refresh(): Promise<void>;
  list(): readonly {
    readonly name: string;
    readonly autoAllow: boolean;
    readonly annotations: ReadonlyMap<string, string>;
  }[];
}

export interface ControlDeps {
  readonly builds: Builds;
  readonly forwarder: GatewayForwarder;
  readonly sessions: SessionRegistry;
  readonly solver: Solver;
  readonly history: History;
  readonly traces: TraceCollector;
  readonly accessor: CacheAccessor;
  readonly worker: {
    readonly id: string;
    readonly labels: ReadonlyMap<string, string>;
    platforms(): readonly Platform[];
    readonly gcPolicy: readonly PruneOptions[];
  };
  /** Of the host; undefined: builds get none. */
  readonly devices?: DeviceList;
  /** A build begins; the answer is told once how it ended. */
  readonly onBuild: () => (wentWell: boolean) => void;
  /** Runs a prune: with the room on the disk that it takes to make some. */
  readonly withRoom: <T>(work: () => Promise<T>) => Promise<T>;
  /** Drops cache keys whose results are gone. */
  readonly releaseUnreferenced: (signal?: AbortSignal) => Promise<void>;
}
