/** What a frontend sees of the build. The same code serves in the daemon, in a client's process and in a frontend image. */
import type { Definition, SourceInfo, Range } from '../proto/ops.pb.ts';
import type { Policy } from '../proto/policy.pb.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';
import type { BuildResult, SourceMeta } from '../llb/index.ts';
import type { Digest, Platform } from '../oci/types.ts';

export interface GatewayRef {
  /** The definition that makes this ref again: `llb` State.fromDefinition continues from it. */
  toDefinition(): Promise<Definition | undefined>;
  evaluate(): Promise<void>;
  readFile(path: string, range?: { offset: number; length: number }): Promise<Uint8Array>;
  readDir(path: string, includePattern?: string): Promise<Stat[]>;
  statFile(path: string): Promise<Stat>;
}

export interface GatewaySolveRequest {
  readonly definition?: Definition;
  readonly frontend?: string;
  readonly frontendOpt?: ReadonlyMap<string, string>;
  readonly frontendInputs?: ReadonlyMap<string, Definition>;
  readonly cacheImports?: readonly { type: string; attrs: ReadonlyMap<string, string> }[];
  readonly evaluate?: boolean;
  /** To be heard after those of the build. */
  readonly sourcePolicies?: readonly Policy[];
}

export interface ResolveImageOptions {
  readonly platform?: Platform;
  readonly resolveMode?: 'default' | 'pull' | 'local';
  readonly logName?: string;
  /** For oci-layout stores. */
  readonly sessionId?: string;
  readonly storeId?: string;
  /** Asks for a digest of an HTTP source's file with bytes after it. */
  readonly httpChecksum?: { readonly algorithm: 'sha256' | 'sha384' | 'sha512'; readonly suffix: Uint8Array };
  /** To be heard before those of the build. */
  readonly sourcePolicies?: readonly Policy[];
}

export interface ResolveSourceOptions extends ResolveImageOptions {
  /** Images: their digest alone. */
  readonly noConfig?: boolean;
  /** Repositories: the raw commit and tag objects, too. */
  readonly gitObjects?: boolean;
  /** Images: what is attested of them, with the statements of these types. */
  readonly attestations?: { readonly predicateTypes: readonly string[] };
}

export interface BuildOpts {
  readonly opts: ReadonlyMap<string, string>;
  readonly sessionId: string;
  readonly workers: readonly { id: string; labels: ReadonlyMap<string, string>; platforms: readonly Platform[] }[];
  readonly product: string;
  /** LLB and frontend capability ids that the daemon has. */
  readonly llbCaps: ReadonlySet<string>;
  readonly frontendCaps: ReadonlySet<string>;
}

export interface WarnOptions {
  readonly level?: number;
  readonly sourceInfo?: SourceInfo;
  readonly ranges?: readonly Range[];
  readonly detail?: readonly string[];
  readonly url?: string;
}

export interface GatewayClient {
  buildOpts(): BuildOpts;
  inputs(): Promise<ReadonlyMap<string, Definition>>;
  /** Lazy unless `evaluate`: refs are promises of content. */
  solve(request: GatewaySolveRequest): Promise<BuildResult<GatewayRef | undefined>>;
  /** `ref` may come back changed by a source policy. Throws NotAnImage when it became something else. */
  resolveImageConfig(
    ref: string,
    options: ResolveImageOptions,
  ): Promise<{ ref: string; digest: Digest; config: Uint8Array }>;
  resolveSourceMeta(
    source: { identifier: string; attrs: ReadonlyMap<string, string> },
    options: ResolveSourceOptions,
  ): Promise<SourceMeta>;
  warn(digest: string, message: string, options?: WarnOptions): Promise<void>;
}

export type Frontend = (client: GatewayClient, signal: AbortSignal) => Promise<BuildResult<GatewayRef | undefined>>;
