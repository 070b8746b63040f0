/** What one build may do: solve definitions and frontends, ask for metadata of sources, warn. */
import { createHash } from 'node:crypto';
import {
  BuildError,
  Code,
  invalidArgument,
  jsonDetail,
  notFound,
  toBuildError,
  unimplemented,
  wrapError,
} from '../base/index.ts';
import type { BuildResult } from '../llb/index.ts';
import type {
  Frontend,
  GatewaySolveRequest,
  ResolveImageOptions,
  SourceMeta,
  WarnOptions,
} from '../frontends/types.ts';
import { defaultPlatform, formatPlatform } from '../oci/index.ts';
import type { Definition } from '../proto/ops.pb.ts';
import { createLazyCache, resolveImporter } from '../remotecache/index.ts';
import type { CacheEntry } from '../remotecache/index.ts';
import type { CachedResult, CacheManager, Job } from '../solver/index.ts';
import type { Entitlement } from './entitlements.ts';
import type { BuildEnvironment } from './environment.ts';
import { LazyRef } from './lazy-ref.ts';
import { loadDefinition } from './load.ts';

export interface BridgeOptions {
  readonly job: Job;
  readonly sessionId: string;
  readonly entitlements: ReadonlySet<Entitlement>;
  readonly signal: AbortSignal;
  readonly runFrontend: RunFrontend;
}

/** Runs a frontend of the daemon's own on that bridge; the refs of the result are the caller's. */
export type RunFrontend = (
  bridge: Bridge,
  frontend: Frontend,
  request: GatewaySolveRequest,
  depth: number,
) => Promise<BuildResult<LazyRef | undefined>>;

/** Job value under which ops find the bridges of the jobs that wait for them. */
export const BRIDGE_VALUE = 'build.bridge';

const MAX_FRONTEND_DEPTH = 32;

export class Bridge {
  readonly env: BuildEnvironment;
  readonly job: Job;
  readonly sessionId: string;
  readonly signal: AbortSignal;
  readonly #entitlements: ReadonlySet<Entitlement>;
  readonly #runFrontend: RunFrontend;
  /** Imported caches by id: each is read once a build. */
  readonly #caches = new Map<string, CacheManager>();

  constructor(env: BuildEnvironment, options: BridgeOptions) {
    this.env = env;
    this.job = options.job;
    this.sessionId = options.sessionId;
    this.signal = options.signal;
    this.#entitlements = options.entitlements;
    this.#runFrontend = options.runFrontend;
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
      const ref = new LazyRef(definition, (d, signal) => this.build(d, signal, request.cacheImports));
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
    return result;
  }

  async #solveFrontend(
    name: string,
    request: GatewaySolveRequest,
    depth: number,
  ): Promise<BuildResult<LazyRef | undefined>> {
    const opts = request.frontendOpt ?? new Map<string, string>();
    if (name === 'gateway.v0' && isBuiltin(opts)) {
      const { frontendOpt: _, ...rest } = request;
      const own = new Map([...opts].filter(([key]) => key !== 'source'));
      return await this.#solveFrontend('dockerfile.v0', { ...rest, frontendOpt: own }, depth);
    }
    const frontend = this.env.frontends.get(name);
    if (frontend === undefined) {
      if (name === 'gateway.v0')
        throw unimplemented('frontends in images (gateway.v0) are not supported by this daemon yet');
      throw notFound(`invalid frontend: ${name}`);
    }
    try {
      return await this.#runFrontend(this, frontend, request, depth);
    } catch (error) {
      const detail: Record<string, string> = { name };
      const source = opts.get('source');
      if (source !== undefined) detail.source = source;
      throw toBuildError(error).withDetail(jsonDetail('errdefs.Frontend', detail));
    }
  }

  /** Loads and builds; the result is the caller's. */
  async build(
    definition: Definition,
    signal: AbortSignal,
    cacheImports: readonly CacheEntry[] = [],
  ): Promise<CachedResult> {
    const cacheSources = cacheImports.map((entry) => this.#importedCache(entry));
    let loaded: Awaited<ReturnType<typeof loadDefinition>>;
    try {
      loaded = await loadDefinition(definition, {
        sources: this.env.sources,
        entitlements: this.#entitlements,
        cacheSources,
      });
    } catch (error) {
      throw wrapError(error, 'failed to load LLB');
    }
    if (loaded.prunedCacheMounts.size > 0) await this.env.dropCacheMounts(loaded.prunedCacheMounts);
    return this.job.build(loaded.edge, signal);
  }

  #importedCache(entry: CacheEntry): CacheManager {
    const { env, job, sessionId, signal } = this;
    const importer = resolveImporter(env.remoteCache, entry);
    let cache = this.#caches.get(importer.id);
    if (cache === undefined) {
      const name = `importing cache manifest from ${importer.id}`;
      cache = createLazyCache(importer.id, () =>
        job.step(
          { digest: textDigest(name), name },
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
    const scheme = options.storeId === undefined || options.storeId === '' ? 'docker-image' : 'oci-layout';
    return this.#resolveStep(`${scheme}://${ref}`, options, (context) =>
      this.env.metaResolver.image(ref, options, context),
    );
  }

  async resolveSourceMeta(
    source: { identifier: string; attrs: ReadonlyMap<string, string> },
    options: ResolveImageOptions & { noConfig?: boolean },
  ): Promise<SourceMeta> {
    const platform = options.platform ?? defaultPlatform();
    const { source: handler, request } = this.env.sources.request(source.identifier, source.attrs, platform);
    const identifier = handler.normalize(request);
    return this.#resolveStep(identifier, options, (context) =>
      this.env.metaResolver.source(identifier, source.attrs, options, context),
    );
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
    return this.job.step({ digest: textDigest(id), name }, work, this.signal);
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

/** An image frontend that names the daemon's own, and is not a context of the client (upstream: llbsolver/solver.go). */
function isBuiltin(opts: ReadonlyMap<string, string>): boolean {
  if (opts.get('source') !== 'dockerfile.v0') return false;
  return ![...opts.keys()].some((k) => k === 'context:dockerfile.v0' || k.startsWith('context:dockerfile.v0::'));
}

export function textDigest(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

export function refsOf(result: BuildResult<LazyRef | undefined>): LazyRef[] {
  const refs = [result.ref, ...(result.refs?.values() ?? [])];
  for (const list of result.attestations?.values() ?? []) refs.push(...list.map((a) => a.ref));
  return refs.filter((r) => r !== undefined);
}

export async function releaseAll(result: BuildResult<LazyRef | undefined>): Promise<void> {
  await Promise.all(refsOf(result).map((r) => r.release()));
}
