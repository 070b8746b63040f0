/** The build as a frontend inside the daemon sees it. Refs that the frontend does not return are released when it ends. */
import { invalidArgument, wrapError } from '../base/index.ts';
import { FRONTEND_CAPS, LLB_CAPS } from '../llb/index.ts';
import type { BuildResult, SourceMeta } from '../llb/index.ts';
import type {
  BuildOpts,
  Frontend,
  GatewayClient,
  GatewayRef,
  GatewaySolveRequest,
  ResolveImageOptions,
  ResolveSourceOptions,
  WarnOptions,
} from '../frontends/types.ts';
import type { Digest } from '../oci/index.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';
import type { Definition } from '../proto/ops.pb.ts';
import { mountRef } from './mount-ref.ts';
import type { Bridge } from './bridge.ts';
import type { LazyRef } from './lazy-ref.ts';
import { mapResult } from './map-result.ts';
import { readDirIn, readFileIn, statFileIn } from './read-tree.ts';

class Ref implements GatewayRef {
  readonly lazy: LazyRef;
  readonly #signal: AbortSignal;

  constructor(lazy: LazyRef, signal: AbortSignal) {
    this.lazy = lazy;
    this.#signal = signal;
  }

  async toDefinition(): Promise<Definition> {
    return this.lazy.definition;
  }

  async evaluate(): Promise<void> {
    await this.lazy.result(this.#signal);
  }

  async #read<T>(read: (root: string) => T): Promise<T> {
    const ref = await this.lazy.immutable(this.#signal);
    const mounted = await mountRef(ref);
    try {
      return read(mounted.dir);
    } finally {
      await mounted.release();
    }
  }

  readFile(path: string, range?: { offset: number; length: number }): Promise<Uint8Array> {
    return this.#read((root) => readFileIn(root, path, range));
  }

  readDir(path: string, includePattern = ''): Promise<Stat[]> {
    return this.#read((root) => readDirIn(root, path, includePattern));
  }

  statFile(path: string): Promise<Stat> {
    return this.#read((root) => statFileIn(root, path));
  }
}

export class FrontendGateway implements GatewayClient {
  readonly #bridge: Bridge;
  readonly #request: GatewaySolveRequest;
  readonly #depth: number;
  readonly #refs: LazyRef[] = [];

  constructor(bridge: Bridge, request: GatewaySolveRequest, depth: number) {
    this.#bridge = bridge;
    this.#request = request;
    this.#depth = depth;
  }

  /** Runs the frontend; the result's refs are the caller's. */
  async run(frontend: Frontend, signal: AbortSignal): Promise<BuildResult<LazyRef | undefined>> {
    return await this.lend(async () => {
      const result = await frontend(this, signal);
      return mapResult(result, (ref) => (ref as Ref | undefined)?.lazy.fork());
    });
  }

  /** For work that returns no refs. */
  async lend<T>(work: (client: GatewayClient) => Promise<T>): Promise<T> {
    try {
      return await work(this);
    } finally {
      await Promise.all(this.#refs.splice(0).map((r) => r.release()));
    }
  }

  buildOpts(): BuildOpts {
    const { worker } = this.#bridge.env;
    return {
      opts: this.#request.frontendOpt ?? new Map(),
      sessionId: this.#bridge.sessionId,
      workers: [{ id: worker.id, labels: worker.labels, platforms: worker.platforms() }],
      product: 'buildkit',
      llbCaps: new Set(LLB_CAPS.map((c) => c.id)),
      frontendCaps: new Set(FRONTEND_CAPS.map((c) => c.id)),
    };
  }

  async inputs(): Promise<ReadonlyMap<string, Definition>> {
    const inputs = this.#request.frontendInputs ?? new Map<string, Definition>();
    for (const definition of inputs.values()) {
      // What a client sends that has none.
      if (definition.metadata.size === 0) {
        throw invalidArgument('invalid nil input definition to definition op');
      }
    }
    return inputs;
  }

  async solve(request: GatewaySolveRequest): Promise<BuildResult<GatewayRef | undefined>> {
    const result = await this.#bridge.solve(request, this.#depth + 1);
    return mapResult(result, (lazy) => {
      if (lazy === undefined) return undefined;
      this.#refs.push(lazy);
      return new Ref(lazy, this.#bridge.signal);
    });
  }

  async resolveImageConfig(
    ref: string,
    options: ResolveImageOptions,
  ): Promise<{ ref: string; digest: Digest; config: Uint8Array }> {
    const resolved = await this.#bridge.resolveImageConfig(ref, options);
    return { ...resolved, digest: resolved.digest as Digest };
  }

  resolveSourceMeta(
    source: { identifier: string; attrs: ReadonlyMap<string, string> },
    options: ResolveSourceOptions,
  ): Promise<SourceMeta> {
    return this.#bridge.resolveSourceMeta(source, options);
  }

  async warn(digest: string, message: string, options?: WarnOptions): Promise<void> {
    try {
      this.#bridge.warn(digest, message, options);
    } catch (error) {
      throw wrapError(error, 'failed to warn');
    }
  }
}
