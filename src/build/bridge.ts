/** What one build may do: solve definitions and frontends, ask for metadata of sources, warn. */
import { BuildError, Code, invalidArgument, jsonDetail, notFound, toBuildError, wrapError } from '../base/index.ts';
import { NotAnImage } from '../frontends/index.ts';
import type { Executor } from '../executor/types.ts';
import type { BuildResult, SourceMeta } from '../llb/index.ts';
import type {
  Frontend,
  GatewaySolveRequest,
  ResolveImageOptions,
  ResolveSourceOptions,
  WarnOptions,
} from '../frontends/types.ts';
import { defaultPlatform, digestOf, formatPlatform, parseDigest } from '../oci/index.ts';
import type { SourceSet } from '../ops/index.ts';
import type { Definition, SourceOp } from '../proto/ops.pb.ts';
import type { Policy } from '../proto/policy.pb.ts';
import { createLazyCache, resolveImporter } from '../remotecache/index.ts';
import type { CacheEntry } from '../remotecache/index.ts';
import { checkPolicy } from '../session/index.ts';
import type { CachedResult, CacheManager, Edge, Job, JobContext } from '../solver/index.ts';
import { chooseBuiltin } from './builtin-frontend.ts';
import type { DeviceGrants } from './device-grants.ts';
import type { Entitlement } from './entitlements.ts';
import type { BuildEnvironment } from './environment.ts';
import { metaOptionsFromWire, platformToWire, sourceMetaToWire } from './gateway-wire.ts';
import { guardExecutor } from './guarded-executor.ts';
import { LazyRef } from './lazy-ref.ts';
import { refuseForeignSteps } from './foreign-steps.ts';
import { loadDefinition } from './load.ts';
import { SourcePolicy } from './policy/index.ts';
import type { Verdicts } from './policy/index.ts';
import { captureEdge } from './provenance/capture-edge.ts';
import type { InputProducers } from './provenance/input-producers.ts';
import type { FrontendRequest, RequestScope } from './provenance/request-scope.ts';

export interface BridgeOptions {
  readonly job: Job;
  readonly sessionId: string;
  readonly entitlements: ReadonlySet<Entitlement>;
  readonly deviceGrants?: DeviceGrants;
  readonly policy: BuildPolicy;
  /** What has a network gets it through a proxy. */
  readonly proxyNetwork: boolean;
  readonly signal: AbortSignal;
  readonly scope: RequestScope;
  readonly producers: InputProducers;
  readonly frontends: FrontendRunner;
}

/** What a build may say about its sources. */
export interface BuildPolicy {
  readonly rules: readonly Policy[];
  /** The client that wants to be asked; '': none. */
  readonly sessionId: string;
}

type LazyResult = BuildResult<LazyRef | undefined>;

/** Runs frontends for a bridge; the refs of their results are the caller's. `depth` is how many are above. */
export interface FrontendRunner {
  builtIn(bridge: Bridge, frontend: Frontend, request: GatewaySolveRequest, depth: number): Promise<LazyResult>;
  image(bridge: Bridge, request: GatewaySolveRequest, depth: number): Promise<LazyResult>;
}

/** Job value under which ops find the bridges of the jobs that wait for them. */
export const BRIDGE_VALUE = 'build.bridge';

const MAX_FRONTEND_DEPTH = 32;

export class Bridge {
  readonly env: BuildEnvironment;
  readonly job: Job;
  readonly sessionId: string;
  readonly signal: AbortSignal;
  /** What is done here is done for that request. */
  readonly scope: RequestScope;
  readonly policy: SourcePolicy;
  /** Starts only what this build may start. */
  readonly executor: Executor;
  readonly #options: BridgeOptions;
  /** Imported caches by id: each is read once a build. */
  readonly #caches: Map<string, CacheManager>;
  readonly #unregister: (() => void)[];

  constructor(env: BuildEnvironment, options: BridgeOptions, outer?: Bridge) {
    this.env = env;
    this.job = options.job;
    this.sessionId = options.sessionId;
    this.signal = options.signal;
    this.scope = options.scope;
    this.policy = new SourcePolicy({
      rules: options.policy.rules,
      normalize: (source) => normalizedIdentifier(env.sources, source),
      ...(options.policy.sessionId === '' ? {} : { verdicts: this.#verdictsOf(options.policy.sessionId) }),
    });
    // What is no step is noted nowhere.
    const proxy = { judge: this.policy.judgeRequest, note: () => {} };
    this.executor = guardExecutor(env.executor, options.entitlements, options.proxyNetwork ? proxy : undefined);
    this.#options = options;
    this.#caches = outer === undefined ? new Map() : outer.#caches;
    this.#unregister = outer === undefined ? [] : outer.#unregister;
  }

  /** The same build, on behalf of a request to one of its frontends. */
  #inner(request: FrontendRequest): Bridge {
    return new Bridge(this.env, { ...this.#options, scope: this.scope.inner(request) }, this);
  }

  /** Ends what others may know of this build's results. */
  close(): void {
    for (const unregister of this.#unregister.splice(0)) unregister();
  }

  /** Lazy: the refs of the result run when asked. The caller releases them. */
  async solve(request: GatewaySolveRequest, depth = 0): Promise<BuildResult<LazyRef | undefined>> {
    const definition = request.definition;
    const hasDefinition = definition !== undefined && definition.def.length > 0;
    const frontend = request.frontend ?? '';
    if (hasDefinition && frontend !== '') {
      throw invalidArgument('cannot solve with both Definition and Frontend specified');
    }
    if (depth > MAX_FRONTEND_DEPTH) throw new BuildError(Code.ResourceExhausted, 'frontends are nested too deeply');
    let result: BuildResult<LazyRef | undefined>;
    if (hasDefinition) {
      // A cache of elsewhere may have what could not be made here.
      if ((request.cacheImports ?? []).length === 0) await refuseForeignSteps(definition, this.env.worker.platforms());
      const ref = new LazyRef(definition, async (d, signal, onCapture) => {
        const built = await this.build(d, signal, request);
        onCapture(captureEdge(this.job, built.edge));
        return built;
      });
      this.scope.addMade(ref.made);
      result = { ref, metadata: new Map() };
    } else if (frontend !== '') {
      result = await this.#solveFrontend(frontend, request, depth);
    } else {
      return { metadata: new Map() };
    }
    if (request.evaluate) {
      try {
        await Promise.all(refsOf(result).map((ref) => ref.result(this.signal)));
      } catch (error) {
        await releaseAll(result);
        throw error;
      }
    }
    this.#announce(result);
    return result;
  }

  async #solveFrontend(
    frontendName: string,
    asked: GatewaySolveRequest,
    depth: number,
  ): Promise<BuildResult<LazyRef | undefined>> {
    const { name, opts } = chooseBuiltin({ name: frontendName, opts: asked.frontendOpt ?? new Map() });
    const request = { ...asked, frontendOpt: opts };
    const builtIn = this.env.frontends.get(name);
    const isImage = name === 'gateway.v0' && this.env.frontendRepositories !== undefined;
    if (builtIn === undefined && !isImage) throw notFound(`invalid frontend: ${name}`);
    const inner = this.#inner({ frontend: name, options: opts, inputs: request.frontendInputs ?? new Map() });
    const { frontends } = this.#options;
    try {
      const result =
        builtIn === undefined
          ? await frontends.image(inner, request, depth)
          : await frontends.builtIn(inner, builtIn, request, depth);
      inner.scope.addMade(...refsOf(result).map((ref) => ref.made));
      this.scope.adopt(inner.scope);
      return result;
    } catch (error) {
      const detail: Record<string, string> = { name };
      const source = opts.get('source');
      if (source !== undefined) detail.source = source;
      throw toBuildError(error).withDetail(jsonDetail('errdefs.Frontend', detail));
    }
  }

  /** Others may take these results as inputs of a frontend. */
  #announce(result: BuildResult<LazyRef | undefined>): void {
    const { producers } = this.#options;
    for (const { made } of refsOf(result)) {
      const scope = this.scope.find(made);
      const facts = scope && producers.factsOf(scope, made);
      if (facts !== undefined) this.#unregister.push(producers.add(made.definition, facts));
    }
  }

  /** Loads and builds; the result is the caller's. */
  async build(
    definition: Definition,
    signal: AbortSignal,
    asked: Pick<GatewaySolveRequest, 'cacheImports' | 'sourcePolicies'> = {},
  ): Promise<CachedResult> {
    return this.job.build(await this.#load(definition, signal, this.#options, asked), signal);
  }

  /**
   * Builds a definition for the work of a step that `others` share by now: what any of them forbids or was not granted is
   * forbidden. The result is the caller's.
   */
  async buildWithin(context: JobContext, definition: Definition, others: readonly Bridge[]): Promise<CachedResult> {
    const sourcePolicies = others.flatMap((other) => other.policy.rules);
    const granted = new Set(this.#options.entitlements);
    for (const entitlement of granted) {
      if (others.some((other) => !other.#options.entitlements.has(entitlement))) granted.delete(entitlement);
    }
    // A proxy is a restriction, too.
    const proxyNetwork = [this, ...others].some((one) => one.#options.proxyNetwork);
    const limits = { entitlements: granted, proxyNetwork };
    return context.build(await this.#load(definition, context.signal, limits, { sourcePolicies }));
  }

  async #load(
    definition: Definition,
    signal: AbortSignal,
    { entitlements, proxyNetwork }: Pick<BridgeOptions, 'entitlements' | 'proxyNetwork'>,
    { cacheImports = [], sourcePolicies = [] }: Pick<GatewaySolveRequest, 'cacheImports' | 'sourcePolicies'>,
  ): Promise<Edge> {
    const policy = this.policy.forDefinition(sourcePolicies, signal);
    const cacheSources = cacheImports.map((entry) => this.#importedCache(entry));
    let loaded: Awaited<ReturnType<typeof loadDefinition>>;
    try {
      loaded = await loadDefinition(definition, {
        sources: this.env.sources,
        entitlements,
        ...(this.env.devices === undefined ? {} : { devices: this.env.devices }),
        ...(this.#options.deviceGrants === undefined ? {} : { deviceGrants: this.#options.deviceGrants }),
        cacheSources,
        proxyNetwork,
        ...(policy === undefined ? {} : { policy }),
      });
    } catch (error) {
      throw wrapError(error, 'failed to load LLB');
    }
    if (loaded.prunedCacheMounts.size > 0) await this.env.dropCacheMounts(loaded.prunedCacheMounts);
    return loaded.edge;
  }

  #importedCache(entry: CacheEntry): CacheManager {
    const { env, job, sessionId, signal } = this;
    const importer = resolveImporter(env.remoteCache, entry);
    let cache = this.#caches.get(importer.id);
    if (cache === undefined) {
      const name = `importing cache manifest from ${importer.id}`;
      cache = createLazyCache(importer.id, () =>
        job.step(
          { digest: digestOf(name), name },
          (context) => importer.open({ signal: context.signal, progress: context.progress, sessionId }),
          signal,
        ),
      );
      this.#caches.set(importer.id, cache);
    }
    return cache;
  }

  async resolveImageConfig(
    ref: string,
    options: ResolveImageOptions,
  ): Promise<{ ref: string; digest: string; config: Uint8Array }> {
    const { sessionId = '', storeId = '' } = options;
    const scheme = storeId === '' ? 'docker-image' : 'oci-layout';
    const attrs = [
      ['oci.session', sessionId],
      ['oci.store', storeId],
    ] as const;
    const found = await this.resolveSourceMeta(
      { identifier: `${scheme}://${ref}`, attrs: new Map(attrs.filter(([, value]) => value !== '')) },
      options,
    );
    if (found.image === undefined) throw new NotAnImage(ref, found.identifier);
    const { digest, config = new Uint8Array() } = found.image;
    return { ref: found.identifier.replace(/^(docker-image|oci-layout):\/\//, ''), digest, config };
  }

  /** The identifier and the attributes of the answer may be others: a policy can put another source in place. */
  async resolveSourceMeta(
    asked: { identifier: string; attrs: ReadonlyMap<string, string> },
    options: ResolveSourceOptions,
  ): Promise<SourceMeta> {
    const source = { identifier: asked.identifier, attrs: new Map(asked.attrs) };
    try {
      const platform = options.platform && platformToWire(options.platform);
      await this.policy.judge(source, platform, options.sourcePolicies ?? [], this.signal);
    } catch (error) {
      throw wrapError(error, 'could not resolve image due to policy');
    }
    return this.#describe(source, options, asked.identifier);
  }

  /** `shownAs` is what the step is called by. */
  async #describe(source: SourceOp, options: ResolveSourceOptions, shownAs = source.identifier): Promise<SourceMeta> {
    const platform = options.platform ?? defaultPlatform();
    const { source: handler, request } = this.env.sources.request(source.identifier, source.attrs, platform);
    const identifier = handler.normalize(request);
    let meta: SourceMeta;
    try {
      meta = await this.#resolveStep(shownAs, options, (context) =>
        this.env.metaResolver.source(identifier, source.attrs, options, context),
      );
    } catch (error) {
      // The step is named by what it resolves; its own error need not say so.
      const [scheme, ref] = splitScheme(identifier);
      if (scheme !== 'docker-image' && scheme !== 'oci-layout') throw error;
      throw wrapError(error, `failed to resolve source metadata for ${ref}`);
    }
    if (meta.image !== undefined) {
      const [scheme, ref] = splitScheme(meta.identifier);
      this.#noteImage(ref, meta.image.digest, options, scheme !== 'docker-image');
    }
    return meta;
  }

  #noteImage(ref: string, digest: string, { platform }: ResolveImageOptions, local: boolean): void {
    this.scope.addImage({ kind: 'image', ref, platform, digest: parseDigest(digest), local });
  }

  #verdictsOf(sessionId: string): Verdicts {
    return {
      ask: async (request, signal) => {
        const caller = await this.env.sessions.get(sessionId, { signal });
        return checkPolicy(caller, request, signal);
      },
      describe: async (request) => {
        const { identifier, attrs } = request.Source as SourceOp;
        const source = { identifier, attrs: new Map(attrs) };
        try {
          await this.policy.applyRules(source);
        } catch (error) {
          throw wrapError(error, 'could not resolve image due to policy');
        }
        return sourceMetaToWire(await this.#describe(source, metaOptionsFromWire(request)));
      },
    };
  }

  /** The step "resolve image config for X": one vertex for each source and platform (upstream: llbsolver/bridge.go). */
  #resolveStep<T>(
    identifier: string,
    options: ResolveImageOptions,
    work: (context: Parameters<Parameters<Job['step']>[1]>[0]) => Promise<T>,
  ): Promise<T> {
    const id = identifier + formatPlatform(options.platform ?? defaultPlatform());
    const name =
      options.logName !== undefined && options.logName !== ''
        ? options.logName
        : `resolve image config for ${identifier}`;
    return this.job.step({ digest: digestOf(id), name }, work, this.signal);
  }

  warn(digest: string, message: string, options: WarnOptions = {}): void {
    this.job.warn(digest, {
      level: options.level === undefined || options.level === 0 ? 1 : options.level,
      short: Buffer.from(message),
      detail: options.detail?.map((d) => Buffer.from(d)),
      url: options.url,
      sourceInfo: options.sourceInfo,
      ranges: options.ranges,
    });
  }
}

function normalizedIdentifier(sources: SourceSet, { identifier, attrs }: SourceOp): string {
  try {
    const { source, request } = sources.request(identifier, attrs, defaultPlatform());
    return source.normalize(request);
  } catch {
    // Who loads it says what is wrong.
    return identifier;
  }
}

function splitScheme(identifier: string): [scheme: string, ref: string] {
  const at = identifier.indexOf('://');
  return [identifier.slice(0, at), identifier.slice(at + 3)];
}

export function refsOf(result: BuildResult<LazyRef | undefined>): LazyRef[] {
  const refs = [result.ref, ...(result.refs?.values() ?? [])];
  for (const list of result.attestations?.values() ?? []) refs.push(...list.map((a) => a.ref));
  return refs.filter((r) => r !== undefined);
}

export async function releaseAll(result: BuildResult<LazyRef | undefined>): Promise<void> {
  await Promise.all(refsOf(result).map((r) => r.release()));
}
