import { BuildError, Code, notFound } from '../base/index.ts';
import type { BuildOpts, Frontend, GatewayClient, GatewayRef, GatewaySolveRequest } from '../frontends/types.ts';
import type { BuildResult, ResultAttestation } from '../llb/index.ts';
import type { Digest } from '../oci/types.ts';
import { AttestationKind, InTotoSubjectKind, LLBBridgeDefinition } from '../proto/gateway.pb.ts';
import type { Attestation, Ref, Result } from '../proto/gateway.pb.ts';
import type { Definition } from '../proto/ops.pb.ts';
import type { WorkerRecord } from '../proto/worker.pb.ts';
import type { CallOptions, Channel, MethodDefinition } from '../rpc/index.ts';
import { encodeStatus } from '../rpc/index.ts';
import { daemonError } from './daemon-error.ts';
import { platformFromWire, platformToWire, sourceMetaFromWire } from './gateway-wire.ts';

/** Says which build a call to the daemon's own LLBBridge means (client/buildid upstream). */
const BUILD_ID = 'buildkit-controlapi-buildid';
const PING_TIMEOUT_MS = 15_000;

const { methods } = LLBBridgeDefinition;

export interface GatewayOptions {
  /** The `Ref` of the Solve that waits for the result; undefined where the connection belongs to one build alone. */
  readonly ref?: string;
  readonly sessionId: string;
  readonly opts: ReadonlyMap<string, string>;
  /** undefined: as the gateway itself tells. */
  readonly workers?: readonly WorkerRecord[];
  readonly product: string;
  readonly signal: AbortSignal;
}

/** A ref of this build as the daemon names it. */
export interface GatewayRefHandle extends GatewayRef {
  readonly id: string;
  readonly definition: Definition | undefined;
}

type Call = <Req, Res>(method: MethodDefinition<Req, Res>, request: Req, options?: CallOptions) => Promise<Res>;

function missing(cap: string): BuildError {
  return new BuildError(
    Code.Unimplemented,
    `requested experimental feature ${cap} is not supported by build server, please update`,
  );
}

class RemoteRef implements GatewayRefHandle {
  readonly id: string;
  readonly definition: Definition | undefined;
  readonly #call: Call;

  constructor(id: string, definition: Definition | undefined, call: Call) {
    this.id = id;
    this.definition = definition;
    this.#call = call;
  }

  toDefinition(): Promise<Definition | undefined> {
    return Promise.resolve(this.definition);
  }

  async evaluate(): Promise<void> {
    await this.#call(methods.evaluate, { Ref: this.id });
  }

  async readFile(path: string, range?: { offset: number; length: number }): Promise<Uint8Array> {
    const Range = range && { Offset: BigInt(range.offset), Length: BigInt(range.length) };
    return (await this.#call(methods.readFile, { Ref: this.id, FilePath: path, Range, MountIndex: 0 })).Data;
  }

  async readDir(path: string, includePattern = '') {
    const request = { Ref: this.id, DirPath: path, IncludePattern: includePattern, MountIndex: 0 };
    return (await this.#call(methods.readDir, request)).entries;
  }

  async statFile(path: string) {
    const { stat } = await this.#call(methods.statFile, { Ref: this.id, Path: path, MountIndex: 0 });
    if (stat === undefined) throw notFound(`${path}: no such file or directory`);
    return stat;
  }
}

function attestationFromWire(a: Attestation, ref: GatewayRef | undefined): ResultAttestation<GatewayRef | undefined> {
  return {
    kind: a.kind === AttestationKind.Bundle ? 'bundle' : 'in-toto',
    metadata: a.metadata,
    ref,
    path: a.path,
    ...(a.inTotoPredicateType === '' ? {} : { predicateType: a.inTotoPredicateType }),
    subjects: a.inTotoSubjects.map((s) => ({
      kind: s.kind === InTotoSubjectKind.Raw ? 'raw' : 'self',
      name: s.name,
      digest: s.digest,
    })),
  };
}

/** Everything that LLBBridge/Solve may answer, older forms of the refs included. */
function resultFromWire(wire: Result, call: Call): BuildResult<GatewayRef | undefined> {
  const toRef = (id: string, def?: Definition): GatewayRef | undefined =>
    id === '' ? undefined : new RemoteRef(id, def, call);
  const attestations = new Map<string, ResultAttestation<GatewayRef | undefined>[]>();
  for (const [platform, list] of wire.attestations) {
    attestations.set(
      platform,
      list.attestation.map((a) => attestationFromWire(a, toRef(a.ref?.id ?? '', a.ref?.def))),
    );
  }
  const rest = { metadata: wire.metadata, ...(attestations.size > 0 ? { attestations } : {}) };
  const r = wire.result;
  switch (r?.$case) {
    case 'ref':
      return { ref: toRef(r.value.id, r.value.def), ...rest };
    case 'refs':
      return { refs: new Map([...r.value.refs].map(([key, v]) => [key, toRef(v.id, v.def)])), ...rest };
    case 'refDeprecated':
      return { ref: toRef(r.value), ...rest };
    case 'refsDeprecated':
      return { refs: new Map([...r.value.refs].map(([key, id]) => [key, toRef(id)])), ...rest };
    default:
      return rest;
  }
}

function refToWire(ref: GatewayRef | undefined): Ref {
  if (ref === undefined) return { id: '', def: undefined };
  if (!(ref instanceof RemoteRef)) throw new BuildError(Code.Unknown, 'invalid return reference type');
  return { id: ref.id, def: ref.definition };
}

function resultToWire(result: BuildResult<GatewayRef | undefined>): Result {
  const attestations = new Map<string, { attestation: Attestation[] }>();
  for (const [platform, list] of result.attestations ?? []) {
    attestations.set(platform, {
      attestation: list.map((a) => ({
        kind: a.kind === 'bundle' ? AttestationKind.Bundle : AttestationKind.InToto,
        metadata: new Map(a.metadata),
        ref: refToWire(a.ref),
        path: a.path,
        inTotoPredicateType: a.predicateType ?? '',
        inTotoSubjects: (a.subjects ?? []).map((s) => ({
          kind: s.kind === 'raw' ? InTotoSubjectKind.Raw : InTotoSubjectKind.Self,
          name: s.name,
          digest: [...s.digest],
        })),
      })),
    });
  }
  return {
    result:
      result.refs === undefined
        ? { $case: 'ref', value: refToWire(result.ref) }
        : { $case: 'refs', value: { refs: new Map([...result.refs].map(([k, ref]) => [k, refToWire(ref)])) } },
    metadata: new Map(result.metadata),
    attestations,
  };
}

/** The gateway of one build, from outside the daemon. */
class RemoteGateway implements GatewayClient {
  readonly #call: Call;
  readonly #opts: BuildOpts;

  constructor(call: Call, opts: BuildOpts) {
    this.#call = call;
    this.#opts = opts;
  }

  buildOpts(): BuildOpts {
    return this.#opts;
  }

  async inputs(): Promise<ReadonlyMap<string, Definition>> {
    if (!this.#opts.frontendCaps.has('frontend.inputs')) throw missing('frontend.inputs');
    return (await this.#call(methods.inputs, {})).Definitions;
  }

  async solve(request: GatewaySolveRequest): Promise<BuildResult<GatewayRef | undefined>> {
    for (const metadata of request.definition?.metadata.values() ?? []) {
      for (const cap of metadata.caps.keys()) if (!this.#opts.llbCaps.has(cap)) throw missing(cap);
    }
    const opts = new Map(request.frontendOpt);
    // What the client's own solve adds for frontends.
    for (const key of ['cache-imports', 'cache-from']) {
      const value = this.#opts.opts.get(key);
      if (!opts.has(key) && value !== undefined) opts.set(key, value);
    }
    const response = await this.#call(methods.solve, {
      Definition: request.definition,
      Frontend: request.frontend ?? '',
      FrontendOpt: opts,
      FrontendInputs: new Map(request.frontendInputs),
      allowResultReturn: true,
      allowResultArrayRef: true,
      Final: false,
      ExporterAttr: new Uint8Array(0),
      CacheImports: (request.cacheImports ?? []).map((c) => ({ Type: c.type, Attrs: new Map(c.attrs) })),
      Evaluate: request.evaluate ?? false,
      SourcePolicies: [],
    });
    if (response.result !== undefined) return resultFromWire(response.result, this.#call);
    const ref = response.ref === '' ? undefined : new RemoteRef(response.ref, undefined, this.#call);
    return { ref, metadata: new Map() };
  }

  async resolveImageConfig(ref: string, options: Parameters<GatewayClient['resolveImageConfig']>[1]) {
    const r = await this.#call(methods.resolveImageConfig, {
      Ref: ref,
      Platform: options.platform && platformToWire(options.platform),
      ResolveMode: options.resolveMode ?? 'default',
      LogName: options.logName ?? '',
      ResolverType: options.storeId === undefined ? 0 : 1,
      SessionID: options.sessionId ?? '',
      StoreID: options.storeId ?? '',
      SourcePolicies: [],
    });
    return { ref: r.Ref === '' ? ref : r.Ref, digest: r.Digest as Digest, config: r.Config };
  }

  async resolveSourceMeta(
    source: Parameters<GatewayClient['resolveSourceMeta']>[0],
    options: Parameters<GatewayClient['resolveSourceMeta']>[1],
  ) {
    const attrs = new Map(source.attrs);
    if (options.storeId !== undefined) attrs.set('oci.store', options.storeId);
    if (options.sessionId !== undefined) attrs.set('oci.session', options.sessionId);
    const r = await this.#call(methods.resolveSourceMeta, {
      Source: { identifier: source.identifier, attrs },
      Platform: options.platform && platformToWire(options.platform),
      LogName: options.logName ?? '',
      ResolveMode: options.resolveMode ?? 'default',
      Git: { ReturnObject: options.gitObjects ?? false },
      Image: { NoConfig: options.noConfig ?? false, AttestationChain: false, ResolveAttestations: [] },
      HTTP: undefined,
      SourcePolicies: [],
    });
    return sourceMetaFromWire(r);
  }

  async warn(digest: string, message: string, options: Parameters<GatewayClient['warn']>[2] = {}): Promise<void> {
    await this.#call(methods.warn, {
      digest,
      level: BigInt(options.level ?? 0),
      short: Buffer.from(message),
      detail: (options.detail ?? []).map((d) => Buffer.from(d)),
      url: options.url ?? '',
      info: options.sourceInfo,
      ranges: [...(options.ranges ?? [])],
    });
  }

  async return(outcome: { result: BuildResult<GatewayRef | undefined> } | { error: unknown }): Promise<void> {
    const request =
      'result' in outcome
        ? { result: resultToWire(outcome.result), error: undefined }
        : { result: undefined, error: encodeStatus(outcome.error) };
    await this.#call(methods.return, request);
  }
}

/** Asks the daemon what it can and binds a gateway to the build. */
export async function gatewayFor(channel: Channel, options: GatewayOptions): Promise<RemoteGateway> {
  const metadata = options.ref === undefined ? [] : [[BUILD_ID, options.ref] as const];
  const call: Call = (method, request, more) =>
    channel.unary(LLBBridgeDefinition, method, request, { metadata, signal: options.signal, ...more });
  const pong = await call(methods.ping, {}, { timeoutMs: PING_TIMEOUT_MS });
  const enabled = (caps: readonly { ID: string; Enabled: boolean }[]): Set<string> =>
    new Set(caps.filter((c) => c.Enabled).map((c) => c.ID));
  const frontendCaps = enabled(pong.FrontendAPICaps);
  if (!frontendCaps.has('return')) throw missing('return');
  return new RemoteGateway(call, {
    opts: options.opts,
    sessionId: options.sessionId,
    product: options.product,
    frontendCaps,
    llbCaps: enabled(pong.LLBCaps),
    workers: (options.workers ?? pong.Workers).map((w) => ({
      id: w.ID,
      labels: w.Labels,
      platforms: w.platforms.map(platformFromWire),
    })),
  });
}

/** Runs `frontend` and hands its result, or its error, to the waiting solve. */
export async function runFrontend(gateway: RemoteGateway, frontend: Frontend, signal: AbortSignal): Promise<void> {
  let result: BuildResult<GatewayRef | undefined>;
  try {
    result = await frontend(gateway, signal);
  } catch (error) {
    // The frontend's error is what counts; the solve reports it as well.
    await gateway.return({ error }).catch(() => {});
    throw daemonError(error, 'failed to run Build function');
  }
  await gateway.return({ result });
}
