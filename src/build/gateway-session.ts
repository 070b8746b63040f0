/**
 * LLBBridge for one build whose frontend runs outside the daemon (in the client, or in a container): ids stand for refs,
 * Return ends it. Every ref that it made is released when the build is discarded.
 */
import { BuildError, Code, Deferred, invalidArgument, notFound, randomId, toBuildError } from '../base/index.ts';
import { FRONTEND_CAPS, LLB_CAPS } from '../llb/index.ts';
import type { BuildResult, ResultAttestation } from '../llb/index.ts';
import type {
  EvaluateRequest,
  ExecMessage,
  InputsResponse,
  NewContainerRequest,
  PongResponse,
  ReadDirRequest,
  ReadDirResponse,
  ReadFileRequest,
  ReadFileResponse,
  ReleaseContainerRequest,
  ResolveImageConfigRequest,
  ResolveImageConfigResponse,
  ResolveSourceMetaRequest,
  ResolveSourceMetaResponse,
  Result as PbResult,
  ReturnRequest,
  SolveRequest,
  SolveResponse,
  StatFileRequest,
  StatFileResponse,
  WarnRequest,
} from '../proto/gateway.pb.ts';
import type { Definition, Mount } from '../proto/ops.pb.ts';
import { refOf } from '../ops/index.ts';
import { decodeStatus } from '../rpc/index.ts';
import type { MessageReader, MessageWriter } from '../rpc/index.ts';
import type { Result } from '../solver/index.ts';
import type { ImmutableRef } from '../storage/types.ts';
import { mountRef } from './mount-ref.ts';
import type { LocalMount } from '../storage/index.ts';
import { refsOf, releaseAll } from './bridge.ts';
import { Containers } from './containers/index.ts';
import { withSolveDetail } from './failed-step.ts';
import type { Bridge } from './bridge.ts';
import {
  attestationFromWire,
  attestationToWire,
  capToWire,
  metaOptionsFromWire,
  platformFromWire,
  resolveModeFromWire,
  sourceMetaToWire,
  workerToWire,
} from './gateway-wire.ts';
import type { LazyRef } from './lazy-ref.ts';
import { readDirIn, readFileIn, statFileIn } from './read-tree.ts';

export class GatewaySession {
  readonly bridge: Bridge;
  readonly #inputs: ReadonlyMap<string, Definition>;
  readonly #refs = new Map<string, LazyRef>();
  readonly #mounts = new Map<string, Promise<LocalMount>>();
  readonly #done = new Deferred<BuildResult<LazyRef | undefined>>();
  /** What failed steps left, by the ids in errdefs.Solve. */
  readonly #remains = new Map<string, Result>();
  readonly #containers: Containers;
  readonly #depth: number;
  #returned = false;
  #discarded = false;
  #discarding: Promise<void> | undefined;

  /** `depth` is how many frontends deep its own is. */
  constructor(bridge: Bridge, inputs: ReadonlyMap<string, Definition>, depth: number) {
    this.bridge = bridge;
    this.#inputs = inputs;
    this.#depth = depth;
    const { env, executor, sessionId } = bridge;
    this.#containers = new Containers({ accessor: env.accessor, sessions: env.sessions, executor, sessionId });
  }

  /** What the frontend returned; its refs are the caller's. Rejects with the frontend's error. */
  get returned(): Promise<BuildResult<LazyRef | undefined>> {
    return this.#done.promise;
  }

  get hasReturned(): boolean {
    return this.#returned;
  }

  async ping(): Promise<PongResponse> {
    return {
      FrontendAPICaps: FRONTEND_CAPS.map(capToWire),
      LLBCaps: LLB_CAPS.map(capToWire),
      Workers: [workerToWire(this.bridge.env.worker)],
    };
  }

  async inputs(): Promise<InputsResponse> {
    return { Definitions: new Map(this.#inputs) };
  }

  async solve(request: SolveRequest): Promise<SolveResponse> {
    const result = await this.#wrapErrors(() =>
      this.bridge.solve(
        {
          definition: request.Definition,
          frontend: request.Frontend,
          frontendOpt: request.FrontendOpt,
          frontendInputs: request.FrontendInputs,
          cacheImports: request.CacheImports.map((c) => ({ type: c.Type, attrs: c.Attrs })),
          evaluate: request.Evaluate,
          sourcePolicies: request.SourcePolicies,
        },
        this.#depth + 1,
      ),
    );
    if (this.#discarded) {
      await releaseAll(result);
      throw new BuildError(Code.Canceled, 'build has ended');
    }
    if (result.refs !== undefined && result.refs.size > 0 && !request.allowResultReturn) {
      await releaseAll(result);
      throw invalidArgument('solve did not return default result');
    }
    const keep = (ref: LazyRef | undefined): { id: string; def: Definition | undefined } => {
      if (ref === undefined) return { id: '', def: undefined };
      const id = randomId();
      this.#refs.set(id, ref);
      return { id, def: ref.definition };
    };
    let wire: PbResult['result'];
    let defaultId = '';
    if (result.refs !== undefined) {
      const refs = new Map([...result.refs].map(([platform, ref]) => [platform, keep(ref)]));
      wire = request.allowResultArrayRef
        ? { $case: 'refs', value: { refs } }
        : { $case: 'refsDeprecated', value: { refs: new Map([...refs].map(([p, r]) => [p, r.id])) } };
    } else {
      const ref = keep(result.ref);
      defaultId = ref.id;
      wire = request.allowResultArrayRef ? { $case: 'ref', value: ref } : { $case: 'refDeprecated', value: ref.id };
    }
    const attestations = new Map(
      [...(result.attestations ?? [])].map(([platform, list]) => [
        platform,
        { attestation: list.map((a) => attestationToWire(a, a.ref === undefined ? undefined : keep(a.ref))) },
      ]),
    );
    if (request.Final) this.#finish(result, request.ExporterAttr);
    return {
      ref: request.allowResultReturn ? '' : defaultId,
      result: { result: wire, metadata: new Map(result.metadata), attestations },
    };
  }

  /** The one-shot return of clients from before Return existed. */
  #finish(result: BuildResult<LazyRef | undefined>, exporterAttr: Uint8Array): void {
    const metadata = new Map<string, Uint8Array>();
    if (exporterAttr.length > 0) {
      const json = JSON.parse(Buffer.from(exporterAttr).toString('utf8')) as Record<string, string>;
      for (const [k, v] of Object.entries(json)) metadata.set(k, Buffer.from(v, 'base64'));
    }
    for (const [k, v] of result.metadata) metadata.set(k, v);
    this.#return({ ref: result.ref?.fork(), metadata });
  }

  #return(result: BuildResult<LazyRef | undefined>): void {
    this.#returned = true;
    if (this.#discarded) void releaseAll(result);
    else this.#done.resolve(result);
  }

  async return(request: ReturnRequest): Promise<void> {
    if ((request.result === undefined) === (request.error === undefined)) {
      throw invalidArgument('gateway return must be either result or err');
    }
    if (this.#returned) throw invalidArgument('gateway result is already set');
    if (request.error !== undefined) {
      this.#returned = true;
      this.#done.reject(decodeStatus(request.error));
      return;
    }
    this.#return(this.#resultFromWire(request.result as PbResult));
  }

  #resultFromWire(wire: PbResult): BuildResult<LazyRef | undefined> {
    const made: LazyRef[] = [];
    const fork = (id: string): LazyRef | undefined => {
      if (id === '') return undefined;
      const ref = this.#findRef(id).fork();
      made.push(ref);
      return ref;
    };
    try {
      const attestations = new Map<string, ResultAttestation<LazyRef | undefined>[]>();
      for (const [platform, list] of wire.attestations) {
        attestations.set(
          platform,
          list.attestation.map((a) => attestationFromWire(a, a.ref === undefined ? undefined : fork(a.ref.id))),
        );
      }
      const common = { metadata: wire.metadata, attestations: attestations.size > 0 ? attestations : undefined };
      const refs = (ids: Iterable<readonly [string, string]>): BuildResult<LazyRef | undefined> => ({
        ...common,
        refs: new Map([...ids].map(([platform, id]) => [platform, fork(id)])),
      });
      switch (wire.result?.$case) {
        case 'refDeprecated':
          return { ...common, ref: fork(wire.result.value) };
        case 'ref':
          return { ...common, ref: fork(wire.result.value.id) };
        case 'refsDeprecated':
          return refs(wire.result.value.refs);
        case 'refs':
          return refs([...wire.result.value.refs].map(([platform, ref]) => [platform, ref.id]));
        default:
          return common;
      }
    } catch (error) {
      for (const ref of made) void ref.release();
      throw error;
    }
  }

  /** The refs of the build's result can be read under the ids of their records: so a client that chooses exporters knows them. */
  async offer(result: BuildResult<LazyRef | undefined>): Promise<void> {
    for (const lazy of refsOf(result)) {
      const id = (await lazy.immutable(this.bridge.signal))?.id;
      if (id !== undefined && !this.#refs.has(id) && !this.#discarded) this.#refs.set(id, lazy.fork());
    }
  }

  #findRef(id: string): LazyRef {
    const ref = this.#refs.get(id);
    if (ref === undefined) throw notFound(`no such ref: ${id}`);
    return ref;
  }

  /** Stays this session's. undefined is scratch. */
  immutable(id: string): Promise<ImmutableRef | undefined> {
    if (id === '') throw invalidArgument('empty ref: ');
    return this.#wrapErrors(() => this.#findRef(id).immutable(this.bridge.signal));
  }

  async newContainer(request: NewContainerRequest, signal: AbortSignal): Promise<void> {
    const inputs: (ImmutableRef | undefined)[] = [];
    const mounts: Mount[] = [];
    for (const mount of request.Mounts) {
      if (mount.resultID === '') {
        mounts.push({ ...mount, input: -1n });
        continue;
      }
      mounts.push({ ...mount, input: BigInt(inputs.length) });
      inputs.push(await this.#mountable(mount.resultID, mount.dest));
    }
    const wanted = {
      id: request.ContainerID,
      mounts,
      inputs,
      network: request.Network,
      hostname: request.hostname,
      extraHosts: request.extraHosts,
      platform: platformFromWire(request.platform),
    };
    await this.#containers.create(wanted, signal);
  }

  async #mountable(id: string, dest: string): Promise<ImmutableRef | undefined> {
    const left = this.#remains.get(id);
    if (left !== undefined) return refOf(left);
    if (!this.#refs.has(id)) throw notFound(`failed to find ref ${id} for "${dest}" mount: no such ref`);
    return await this.immutable(id);
  }

  releaseContainer(request: ReleaseContainerRequest): Promise<void> {
    return this.#containers.release(request.ContainerID);
  }

  execProcess(input: MessageReader<ExecMessage>, out: MessageWriter<ExecMessage>, signal: AbortSignal): Promise<void> {
    return this.#containers.serve(input, out, signal);
  }

  readFileContainer(request: ReadFileRequest): Promise<ReadFileResponse> {
    return this.#containers.readFile(request);
  }

  readDirContainer(request: ReadDirRequest): Promise<ReadDirResponse> {
    return this.#containers.readDir(request);
  }

  statFileContainer(request: StatFileRequest): Promise<StatFileResponse> {
    return this.#containers.statFile(request);
  }

  /** Where the ref's tree can be read; mounted once and until the build is discarded. */
  async #root(id: string): Promise<string> {
    if (this.#discarded) throw new BuildError(Code.Canceled, 'build has ended');
    let mounting = this.#mounts.get(id);
    if (mounting === undefined) {
      mounting = (async () => mountRef(await this.immutable(id)))();
      mounting.catch(() => this.#mounts.delete(id));
      this.#mounts.set(id, mounting);
    }
    return (await mounting).dir;
  }

  async readFile(request: ReadFileRequest): Promise<ReadFileResponse> {
    const root = await this.#root(request.Ref);
    const range = request.Range && { offset: Number(request.Range.Offset), length: Number(request.Range.Length) };
    return { Data: readFileIn(root, request.FilePath, range) };
  }

  async readDir(request: ReadDirRequest): Promise<ReadDirResponse> {
    return { entries: readDirIn(await this.#root(request.Ref), request.DirPath, request.IncludePattern) };
  }

  async statFile(request: StatFileRequest): Promise<StatFileResponse> {
    return { stat: statFileIn(await this.#root(request.Ref), request.Path) };
  }

  async evaluate(request: EvaluateRequest): Promise<void> {
    await this.immutable(request.Ref);
  }

  async resolveImageConfig(request: ResolveImageConfigRequest): Promise<ResolveImageConfigResponse> {
    const resolved = await this.bridge.resolveImageConfig(request.Ref, {
      platform: platformFromWire(request.Platform),
      resolveMode: resolveModeFromWire(request.ResolveMode),
      logName: request.LogName,
      sourcePolicies: request.SourcePolicies,
      ...(request.ResolverType === RESOLVER_OCI_LAYOUT
        ? { sessionId: request.SessionID, storeId: request.StoreID }
        : {}),
    });
    return { Ref: resolved.ref, Digest: resolved.digest, Config: resolved.config };
  }

  async resolveSourceMeta(request: ResolveSourceMetaRequest): Promise<ResolveSourceMetaResponse> {
    if (request.Source === undefined) throw invalidArgument('source is required');
    const { identifier, attrs } = request.Source;
    const meta = await this.bridge.resolveSourceMeta({ identifier, attrs }, metaOptionsFromWire(request));
    return sourceMetaToWire(meta);
  }

  async warn(request: WarnRequest): Promise<void> {
    for (const range of request.ranges) {
      if (range.start === undefined || range.end === undefined) throw invalidArgument('invalid range of warning');
    }
    this.bridge.warn(request.digest, Buffer.from(request.short).toString('utf8'), {
      level: Number(request.level),
      detail: request.detail.map((d) => Buffer.from(d).toString('utf8')),
      url: request.url,
      sourceInfo: request.info,
      ranges: request.ranges,
    });
  }

  /** Errors get errdefs.Solve with ids under which what the failed step left can be mounted in containers. */
  async #wrapErrors<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      throw withSolveDetail(toBuildError(thrown), (result) => this.#keepRemains(result));
    }
  }

  #keepRemains(result: Result): string {
    if (!this.#remains.has(result.id) && !this.#discarded) this.#remains.set(result.id, result.fork());
    return result.id;
  }

  /** Processes and containers end first, then what they were made of goes. */
  discard(): Promise<void> {
    this.#discarding ??= this.#discard();
    return this.#discarding;
  }

  async #discard(): Promise<void> {
    this.#discarded = true;
    if (!this.#returned) this.#done.reject(new BuildError(Code.Canceled, 'context canceled'));
    await this.#containers.close();
    const mounts = await Promise.allSettled(this.#mounts.values());
    for (const m of mounts) if (m.status === 'fulfilled') await m.value.release();
    await Promise.all([...this.#refs.values()].map((r) => r.release()));
    await Promise.all([...this.#remains.values()].map((r) => r.release()));
    this.#refs.clear();
    this.#remains.clear();
  }
}

/** sourceresolver.ResolverType upstream: 0 registry, 1 OCI layout. */
const RESOLVER_OCI_LAYOUT = 1;
