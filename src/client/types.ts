import type { GatewayClient } from '../frontends/types.ts';
import type { ContentStore } from '../content/types.ts';
import type { Definition } from '../proto/ops.pb.ts';
import type { StatusResponse } from '../proto/control.pb.ts';
import type { Policy } from '../proto/policy.pb.ts';
import type { Attachable, OpenOutput } from '../session/index.ts';

export interface ExportEntry {
  /** `image`, `local`, `tar`, `oci`, `docker`, … */
  readonly type: string;
  readonly attrs: ReadonlyMap<string, string>;
  /** For types that make one file: opens it when the daemon sends it. */
  readonly output?: OpenOutput;
  /** For `local`, and for `oci` and `docker` as a layout (`tar=false`). */
  readonly outputDir?: string;
}

export interface CacheEntry {
  readonly type: string;
  readonly attrs: ReadonlyMap<string, string>;
}

/** What a build is and what it may use. All paths are this machine's. */
export interface SolveRequest {
  /** Names the build in history and status; made up when absent. */
  readonly ref?: string;
  /** LLB, or a frontend of the daemon: one of them, and none for {@link Client.build}. */
  readonly definition?: Definition;
  readonly frontend?: string;
  readonly frontendAttrs?: ReadonlyMap<string, string>;
  readonly frontendInputs?: ReadonlyMap<string, Definition>;
  readonly exports?: readonly ExportEntry[];
  readonly cacheExports?: readonly CacheEntry[];
  readonly cacheImports?: readonly CacheEntry[];
  readonly localDirs?: ReadonlyMap<string, string>;
  /** `oci-layout://<id>@<digest>` reads from these: stores, or the directories of OCI layouts. */
  readonly ociStores?: ReadonlyMap<string, ContentStore | string>;
  readonly attachables?: readonly Attachable[];
  readonly entitlements?: readonly string[];
  readonly sourcePolicy?: Policy;
  readonly sharedKey?: string;
  readonly internal?: boolean;
  readonly proxyNetwork?: boolean;
  /** W3C's `traceparent`: the build's spans are below it. */
  readonly traceParent?: string | undefined;
  readonly signal?: AbortSignal;
  /** Progress as the daemon reports it, in order. It must not throw. */
  readonly onStatus?: (status: StatusResponse) => void;
  /** Things that do not stop the build, e.g. a cache that is not there. */
  readonly onWarning?: (message: string) => void;
}

export interface SolveResult {
  readonly exporterResponse: ReadonlyMap<string, string>;
}

/** Runs in this process against the daemon's gateway; see {@link GatewayClient}. */
export type RunGateway = (run: {
  readonly ref: string;
  readonly sessionId: string;
  readonly attrs: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
}) => Promise<void>;

export type { GatewayClient };
