/**
 * The life of one Solve: job, bridge, frontend, evaluation, exports, history. Whatever happens, the job is discarded, refs
 * are released and the history record is finished.
 */
import { BuildError, Code, invalidArgument, logger, toBuildError } from '../base/index.ts';
import type { ExporterInstance } from '../exporters/types.ts';
import { parseAttestationRequests, parseProvenanceOptions, parseSbomOptions } from '../attest/index.ts';
import type { ProvenanceOptions } from '../attest/index.ts';
import type { BuildResult } from '../llb/index.ts';
import { defaultPlatform, normalizePlatform } from '../oci/index.ts';
import type { Descriptor } from '../oci/types.ts';
import type { SolveRequest } from '../proto/control.pb.ts';
import { resolveExports } from '../remotecache/index.ts';
import type { ResolvedExports } from '../remotecache/index.ts';
import type { Job } from '../solver/index.ts';
import { COMPATIBILITY_VALUE, CURRENT_COMPATIBILITY } from '../sources/index.ts';
import { answerError } from './answer-error.ts';
import { BRIDGE_VALUE, Bridge, refsOf, releaseAll } from './bridge.ts';
import { chooseBuiltin } from './builtin-frontend.ts';
import { parseDeviceGrants } from './device-grants.ts';
import { grantEntitlements } from './entitlements.ts';
import type { BuildEnvironment } from './environment.ts';
import { cachedResults, exportCaches, finalizeExports, runExports, verifyStep } from './export-steps.ts';
import { FrontendGateway } from './frontend-gateway.ts';
import type { GatewayForwarder } from './forwarder.ts';
import { GatewaySession } from './gateway-session.ts';
import { resolveModeFromWire } from './gateway-wire.ts';
import { ImageFrontend } from './image-frontend.ts';
import type { ActiveRecord, BuildOutcome } from './history/index.ts';
import type { LazyRef } from './lazy-ref.ts';
import { mapResultAsync } from './map-result.ts';
import { TRACE_VALUE } from '../trace/index.ts';
import type { TraceContext } from '../trace/index.ts';
import { prepareProvenance } from './provenance/history-provenance.ts';
import { InputProducers } from './provenance/input-producers.ts';
import { beginInvocation, ProvenanceMaker } from './provenance/provenance.ts';
import { RequestScope } from './provenance/request-scope.ts';
import { captureResult } from './provenance/result-captures.ts';
import type { ResultCaptures } from './provenance/result-captures.ts';
import { addSboms } from './sbom.ts';
import type { SbomRequest } from './sbom.ts';
import { finalizeSessionExport, findSessionExporters } from './session-exporters.ts';
import { validatePolicy } from './policy/index.ts';
import { checkPlatforms } from './platform-check.ts';
import { statusToWire } from './status-wire.ts';

type LazyResult = BuildResult<LazyRef | undefined>;

interface ChosenExporter {
  readonly type: string;
  readonly attrs: ReadonlyMap<string, string>;
}

/** The request's exporters, with those of clients from before there were several. */
function exportersOf(request: SolveRequest): ChosenExporter[] {
  const epoch = request.FrontendAttrs.get('build-arg:SOURCE_DATE_EPOCH');
  const chosen = request.Exporters.map((e) => ({ type: e.Type, attrs: e.Attrs }));
  if (chosen.length === 0 && request.ExporterDeprecated !== '') {
    chosen.push({ type: request.ExporterDeprecated, attrs: request.ExporterAttrsDeprecated });
  }
  // What names a context or a stage is the frontend's to find out: its result carries the time.
  if (epoch === undefined || !/^([+-]?\d+)?$/.test(epoch)) return chosen;
  return chosen.map((e) => ({
    ...e,
    attrs: e.attrs.has('source-date-epoch') ? e.attrs : new Map([...e.attrs, ['source-date-epoch', epoch]]),
  }));
}

/** Without any definition (an empty one is scratch) and frontend the client itself is the frontend. */
function isRemote({ Definition, Frontend }: SolveRequest): boolean {
  return Definition === undefined && Frontend === '';
}

function checkRequest(request: SolveRequest): void {
  if (request.Ref === '') throw invalidArgument('build ref is required');
  if (request.SourcePolicy !== undefined) validatePolicy(request.SourcePolicy);
  const { CompatibilityVersion: version } = request;
  if (![0n, 10n, 20n, 30n].includes(version)) {
    const hint = version > 30n ? '; a newer daemon is needed' : '';
    throw invalidArgument(`unsupported compatibility version ${version}${hint}`);
  }
}

/** How far a build got. */
interface Outcome {
  /** To be released. */
  result?: LazyResult;
  captures?: ResultCaptures;
  /** Of the exporters, in their order. */
  descriptors: readonly (Descriptor | undefined)[];
}

interface AttestationsWanted {
  readonly sbom: Omit<SbomRequest, 'platform'> | undefined;
  readonly provenance: ProvenanceOptions | undefined;
  /** Also for the history. */
  readonly builderId: string;
}

interface Requested {
  readonly exporters: readonly ExporterInstance[];
  readonly caches: ResolvedExports;
  readonly attestations: AttestationsWanted;
  readonly provenance: ProvenanceMaker;
}

function attestationsOf({ FrontendAttrs: attrs }: SolveRequest): AttestationsWanted {
  const requests = parseAttestationRequests(attrs);
  const said = requests.get('provenance');
  const provenance = said && parseProvenanceOptions(said);
  const scan = requests.get('sbom');
  const sbom = scan && {
    ...parseSbomOptions(scan, 'sbom generator'),
    resolveMode: resolveModeFromWire(attrs.get('image-resolve-mode') ?? ''),
    // With the names of stages it is not for all of them.
    ignoreCache: attrs.get('no-cache') === '',
  };
  return { sbom, provenance, builderId: provenance?.builderId ?? '' };
}

function scopeOf({ Frontend, FrontendAttrs, FrontendInputs: inputs }: SolveRequest): RequestScope {
  const { name, opts } = chooseBuiltin({ name: Frontend, opts: FrontendAttrs });
  return RequestScope.ofBuild({ frontend: name, options: opts, inputs });
}

export class Builds {
  readonly #env: BuildEnvironment;
  readonly #forwarder: GatewayForwarder;
  readonly #producers = new InputProducers();

  constructor(env: BuildEnvironment, forwarder: GatewayForwarder) {
    this.#env = env;
    this.#forwarder = forwarder;
  }

  /** Resolves to SolveResponse.ExporterResponse when everything is exported. */
  async solve(request: SolveRequest, signal: AbortSignal, traceParent?: TraceContext): Promise<Map<string, string>> {
    try {
      return await this.#solve(request, signal, traceParent);
    } catch (thrown) {
      if (isRemote(request)) this.#forwarder.refuse(request.Ref);
      throw answerError(toBuildError(thrown));
    }
  }

  async #solve(request: SolveRequest, signal: AbortSignal, traceParent?: TraceContext): Promise<Map<string, string>> {
    checkRequest(request);
    await this.#env.history.settle(request.Ref);
    const entitlements = grantEntitlements(request.Entitlements, this.#env.entitlements);
    const deviceGrants = parseDeviceGrants(request.Entitlements);
    const chosen = exportersOf(request);
    const exporters = chosen.map((wanted) => this.#exporter(wanted));
    const caches = resolveExports(
      this.#env.remoteCache,
      (request.Cache?.Exports ?? []).map((e) => ({ type: e.Type, attrs: e.Attrs })),
    );
    const attestations = attestationsOf(request);
    const sessions = request.Session === '' ? [] : [request.Session];
    const scope = scopeOf(request);
    const job = this.#env.solver.newJob(request.Ref, { sessions });
    const abort = new AbortController();
    const whole = AbortSignal.any([signal, abort.signal]);
    const bridge = new Bridge(this.#env, {
      job,
      sessionId: request.Session,
      entitlements,
      ...(deviceGrants === undefined ? {} : { deviceGrants }),
      policy: {
        rules: request.SourcePolicy === undefined ? [] : [request.SourcePolicy],
        sessionId: request.SourcePolicySession,
      },
      proxyNetwork: request.ProxyNetwork || this.#env.proxyNetwork,
      signal: whole,
      scope,
      producers: this.#producers,
      frontends: {
        builtIn: (b, frontend, asked, depth) => new FrontendGateway(b, asked, depth).run(frontend, b.signal),
        image: (b, asked, depth) => new ImageFrontend(b, asked, depth).run(),
      },
    });
    job.setValue(BRIDGE_VALUE, bridge);
    job.setValue(COMPATIBILITY_VALUE, Number(request.CompatibilityVersion) || CURRENT_COMPATIBILITY);
    const gateway = isRemote(request) ? new GatewaySession(bridge, request.FrontendInputs, 0) : undefined;
    let unregister: (() => void) | undefined;
    let record: ActiveRecord | undefined;
    let logging: Promise<void> | undefined;
    const provenance = new ProvenanceMaker(
      beginInvocation(Number(request.CompatibilityVersion) || CURRENT_COMPATIBILITY, this.#env.provenanceEnv),
    );
    const outcome: Outcome = { descriptors: [] };
    try {
      if (gateway !== undefined) unregister = this.#forwarder.register(request.Ref, gateway);
      if (!request.Internal) {
        record = this.#env.history.begin({
          ref: request.Ref,
          frontend: request.Frontend,
          frontendAttrs: request.FrontendAttrs,
          exporters: chosen,
          ...(traceParent === undefined ? {} : { traceParent }),
        });
        job.setValue(TRACE_VALUE, record.traceId);
        logging = followStatus(job, record);
      }
      const wanted = { exporters, caches, attestations, provenance };
      const response = await this.#run(request, bridge, gateway, wanted, outcome, whole);
      job.closeProgress();
      await logging;
      if (record !== undefined) {
        await record.finish(await this.#outcomeOf(outcome, provenance, attestations, sessions));
      }
      return response;
    } catch (thrown) {
      const error = answerError(describe(await this.#env.explain(thrown), signal));
      abort.abort(error);
      job.closeProgress();
      await logging;
      await record
        ?.finish({ ...(await this.#outcomeOf(outcome, provenance, attestations, sessions)), error })
        .catch((e: unknown) => logger.warn('history record could not be saved', { ref: request.Ref, error: e }));
      throw error;
    } finally {
      unregister?.();
      provenance.close();
      abort.abort();
      bridge.close();
      if (outcome.result !== undefined) await releaseAll(outcome.result);
      await gateway?.discard();
      await job.discard();
    }
  }

  #exporter({ type, attrs }: ChosenExporter): ExporterInstance {
    const exporter = this.#env.exporters.get(type);
    if (exporter === undefined)
      throw new BuildError(Code.NotFound, `exporter ${JSON.stringify(type)} could not be found`);
    return exporter.resolve(attrs);
  }

  async #run(
    request: SolveRequest,
    bridge: Bridge,
    gateway: GatewaySession | undefined,
    requested: Requested,
    outcome: Outcome,
    signal: AbortSignal,
  ): Promise<Map<string, string>> {
    let lazy = await this.#result(request, bridge, gateway, signal);
    outcome.result = lazy;
    await evaluateAll(lazy, signal);
    outcome.captures = captureResult(lazy, bridge.scope, this.#producers);
    lazy = await this.#attest(lazy, outcome.captures, requested, bridge, signal);
    outcome.result = lazy;
    const result = await mapResultAsync(lazy, async (ref) => ref?.immutable(signal));
    const { job } = bridge;
    const { sessions } = this.#env;
    const exporters = [...requested.exporters];
    const { caches } = requested;
    if (request.EnableSessionExporter) {
      await gateway?.offer(lazy);
      const found = await findSessionExporters(sessions, request.Session, result, signal);
      exporters.push(...found.map((wanted) => this.#exporter(wanted)));
    }
    const cached = await cachedResults(lazy, signal);
    const inline = caches.inline ? cached : undefined;
    const warnings = checkPlatforms(request.FrontendAttrs.get('platform'), result);
    if (exporters.length === 0 && warnings.length > 0) await verifyStep(job, warnings, signal);
    const outcomes = await runExports(job, request.Session, exporters, result, signal, inline, warnings);
    outcome.descriptors = outcomes.map((o) => o.descriptor);
    const response = new Map<string, string>();
    for (const one of outcomes) for (const [k, v] of one.response) response.set(k, v);
    const [finalized, written] = await Promise.allSettled([
      finalizeExports(job, request.Session, exporters, outcomes, signal),
      exportCaches(job, request.Session, caches.exporters, [...cached.values()], signal),
    ]);
    if (finalized.status === 'rejected') throw finalized.reason;
    if (written.status === 'rejected') throw written.reason;
    for (const [k, v] of written.value) response.set(k, v);
    for (const [k, v] of lazy.metadata) {
      if (k.startsWith('frontend.')) response.set(k, Buffer.from(v).toString('utf8'));
    }
    if (request.EnableSessionExporter) await finalizeSessionExport(sessions, request.Session, response, signal);
    return response;
  }

  /** The result with what the client wants to have attested of it; its refs stay those of `result`. */
  async #attest(
    result: LazyResult,
    captures: ResultCaptures,
    { attestations, provenance }: Requested,
    bridge: Bridge,
    signal: AbortSignal,
  ): Promise<LazyResult> {
    const { sessions } = bridge.job;
    const [platform = normalizePlatform(defaultPlatform())] = this.#env.worker.platforms();
    const scanned =
      attestations.sbom === undefined ? result : await addSboms(result, { ...attestations.sbom, platform }, bridge);
    if (attestations.provenance === undefined) return scanned;
    return provenance.attest(scanned, captures, attestations.provenance, { signal, sessions: () => sessions });
  }

  /** What the history shows of a build: what exporters made of its result and how it was made. */
  async #outcomeOf(
    outcome: Outcome,
    maker: ProvenanceMaker,
    { builderId }: AttestationsWanted,
    sessions: readonly string[],
  ): Promise<BuildOutcome> {
    const { result, captures, descriptors } = outcome;
    const whole: BuildOutcome = {
      response: metadataOf(outcome),
      results: new Map(descriptors.some((d) => d !== undefined) ? [['', descriptors]] : []),
      images: this.#env.content,
    };
    if (result === undefined || captures === undefined) return whole;
    const { content } = this.#env.history;
    const context = { sessions: () => sessions };
    try {
      return { ...whole, attest: await prepareProvenance(result, captures, maker, { builderId, content, context }) };
    } catch (error) {
      logger.warn('provenance could not be kept', { error });
      return whole;
    }
  }

  async #result(
    request: SolveRequest,
    bridge: Bridge,
    gateway: GatewaySession | undefined,
    signal: AbortSignal,
  ): Promise<LazyResult> {
    if (gateway !== undefined) {
      const onAbort = (): void => void gateway.discard();
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        return await gateway.returned;
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    }
    return await bridge.solve({
      definition: request.Definition,
      frontend: request.Frontend,
      frontendOpt: request.FrontendAttrs,
      frontendInputs: request.FrontendInputs,
      cacheImports: (request.Cache?.Imports ?? []).map((c) => ({ type: c.Type, attrs: c.Attrs })),
    });
  }
}

function describe(error: BuildError, signal: AbortSignal): BuildError {
  if (!signal.aborted || !error.isCanceled) return error;
  return new BuildError(Code.Canceled, 'context canceled', { cause: error });
}

/** What records show as the response: the result's metadata, not what exporters answer (upstream: llbsolver/history.go). */
function metadataOf({ result }: Outcome): Map<string, string> {
  const texts = [...(result?.metadata ?? [])].map(([key, value]): [string, string] => [
    key,
    Buffer.from(value).toString('utf8'),
  ]);
  return new Map(texts);
}

async function evaluateAll(result: LazyResult, signal: AbortSignal): Promise<void> {
  const settled = await Promise.allSettled(refsOf(result).map((ref) => ref.result(signal)));
  for (const one of settled) if (one.status === 'rejected') throw one.reason;
}

async function followStatus(job: Job, record: ActiveRecord): Promise<void> {
  try {
    for await (const batch of job.status()) {
      for (const message of statusToWire(batch)) await record.log.write(message);
    }
  } catch (error) {
    logger.warn('progress of a build could not be kept', { ref: job.id, error });
  }
}
