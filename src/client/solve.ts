import { BuildError, canceled, Code, invalidArgument, randomId, toBuildError } from '../base/index.ts';
import { openLayoutStore } from '../content/index.ts';
import type { ContentStore } from '../content/types.ts';
import type { Descriptor } from '../oci/types.ts';
import { ControlDefinition } from '../proto/control.pb.ts';
import type { SolveRequest as WireRequest } from '../proto/control.pb.ts';
import { Op } from '../proto/ops.pb.ts';
import type { Definition } from '../proto/ops.pb.ts';
import { bytesMethod, linkFromCall } from '../rpc/index.ts';
import type { Channel } from '../rpc/index.ts';
import { provideContent, provideDirectories, provideTargets, Session } from '../session/index.ts';
import { daemonError } from './daemon-error.ts';
import { cacheManifestIn } from './cache-layouts.ts';
import { planCache } from './cache-options.ts';
import type { CachePlan } from './cache-options.ts';
import { planExports } from './export-targets.ts';
import { dropUnnamed, nameInLayout } from './layout-index.ts';
import type { IndexName } from './layout-index.ts';
import type { CacheEntry, RunGateway, SolveRequest, SolveResult } from './types.ts';

/** After the solve has ended, progress may be silent for so long before it is given up. */
const STATUS_PATIENCE_MS = 5_000;
/** The same where the solve failed before there was any progress: most likely it was refused, and there will be none. */
const REFUSED_PATIENCE_MS = 300;
/** A client-side frontend that failed waits so long for the solve to fail by itself. */
const SOLVE_PATIENCE_MS = 5_000;

const { methods } = ControlDefinition;

/** All directories for a frontend; of an LLB build only those that it names, and each of them must be there. */
function sharedDirectories(
  definition: Definition | undefined,
  directories: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  if (definition === undefined) return directories;
  const used = new Map<string, string>();
  for (const bytes of definition.def) {
    const { op } = Op.decode(bytes);
    if (op?.$case !== 'source' || !op.value.identifier.startsWith('local://')) continue;
    const name = op.value.identifier.slice('local://'.length);
    const path = directories.get(name);
    if (path === undefined) throw invalidArgument(`local directory ${name} not enabled`);
    used.set(name, path);
  }
  return used;
}

function cacheEntries(entries: readonly CacheEntry[]): { Type: string; Attrs: Map<string, string> }[] {
  return entries.map((e) => ({ Type: e.type, Attrs: new Map(e.attrs) }));
}

/** Frontends import caches themselves: they learn of them as JSON. */
function frontendCacheImports(plan: CachePlan): [string, string][] {
  if (plan.imports.length === 0) return [];
  const entries = plan.imports.map((e) => ({ Type: e.type, Attrs: Object.fromEntries([...e.attrs].toSorted()) }));
  return [['cache-imports', JSON.stringify(entries)]];
}

function wireRequest(ref: string, sessionId: string, request: SolveRequest, cache: CachePlan): WireRequest {
  const exporters = (request.exports ?? []).map((e) => ({ Type: e.type, Attrs: new Map(e.attrs) }));
  return {
    Ref: ref,
    Definition: request.definition,
    // Daemons before 0.13 know one exporter only.
    ExporterDeprecated: exporters[0]?.Type ?? '',
    ExporterAttrsDeprecated: exporters[0]?.Attrs ?? new Map(),
    Exporters: exporters,
    Session: sessionId,
    Frontend: request.frontend ?? '',
    FrontendAttrs: new Map(request.frontendAttrs),
    FrontendInputs: new Map(request.frontendInputs),
    Cache: {
      ExportRefDeprecated: '',
      ImportRefsDeprecated: [],
      ExportAttrsDeprecated: new Map(),
      Exports: cacheEntries(cache.exports),
      Imports: cacheEntries(cache.imports),
    },
    Entitlements: [...(request.entitlements ?? [])],
    Internal: request.internal ?? false,
    SourcePolicy: request.sourcePolicy,
    EnableSessionExporter: false,
    SourcePolicySession: '',
    CompatibilityVersion: 0n,
    ProxyNetwork: request.proxyNetwork ?? false,
  };
}

/** Reads the progress until the daemon ends it, or until it is silent for too long after `solved`. */
async function followStatus(
  channel: Channel,
  ref: string,
  solved: Promise<unknown>,
  onStatus: NonNullable<SolveRequest['onStatus']> | undefined,
): Promise<void> {
  const stop = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let ended = false;
  let silent = true;
  const restart = (patience = STATUS_PATIENCE_MS): void => {
    clearTimeout(timer);
    if (ended) timer = setTimeout(() => stop.abort(canceled()), patience);
  };
  const onEnd = (patience: number): void => {
    ended = true;
    restart(patience);
  };
  solved.then(
    () => onEnd(STATUS_PATIENCE_MS),
    () => onEnd(silent ? REFUSED_PATIENCE_MS : STATUS_PATIENCE_MS),
  );
  const call = channel.stream(ControlDefinition, methods.status, { signal: stop.signal });
  try {
    call.write({ Ref: ref }).catch(() => {});
    call.end();
    for await (const status of call) {
      silent = false;
      restart();
      onStatus?.(status);
    }
  } catch (error) {
    if (!stop.signal.aborted && !toBuildError(error).isCanceled) throw daemonError(error, 'failed to receive status');
  } finally {
    ended = false;
    clearTimeout(timer);
    call.cancel();
  }
}

function parseDescriptor(json: string): Descriptor {
  return JSON.parse(json) as Descriptor;
}

/** What the daemon exported into layouts of this machine is named in their index.json. */
async function finishLayouts(
  response: ReadonlyMap<string, string>,
  cache: CachePlan,
  layouts: readonly string[],
): Promise<void> {
  const cacheManifest = response.get('cache.manifest') ?? '';
  if (cacheManifest !== '') {
    const told = parseDescriptor(cacheManifest);
    for (const { directory, tag, watched } of cache.layouts) {
      const descriptor = await cacheManifestIn(watched, told);
      if (descriptor !== undefined) nameInLayout(directory, descriptor, [{ tag }]);
    }
  }
  const image = response.get('containerimage.descriptor') ?? '';
  if (image !== '') {
    const descriptor = parseDescriptor(Buffer.from(image, 'base64').toString('utf8'));
    const names = response.get('image.name')?.split(',');
    const wanted: IndexName[] = names === undefined ? [{ tag: 'latest' }] : names.map((name) => ({ name }));
    for (const directory of layouts) nameInLayout(directory, descriptor, wanted);
  }
  for (const directory of cache.resets) await dropUnnamed(directory);
}

/** A build from its session to its end. `runGateway`: the frontend is here, the daemon waits for what it returns. */
export async function solve(
  channel: Channel,
  request: SolveRequest,
  runGateway: RunGateway | undefined,
): Promise<SolveResult> {
  const ref = request.ref ?? randomId();
  const warn = request.onWarning ?? (() => {});
  const directories = sharedDirectories(request.definition, request.localDirs ?? new Map());
  const cache = await planCache(request.cacheExports ?? [], request.cacheImports ?? [], warn);
  const plan = planExports(request.exports ?? []);
  const stores = new Map<string, ContentStore>([...cache.stores, ...plan.stores]);
  for (const [id, store] of request.ociStores ?? []) {
    if (stores.has(`oci:${id}`)) throw invalidArgument(`oci store key ${JSON.stringify(id)} already exists`);
    stores.set(`oci:${id}`, typeof store === 'string' ? openLayoutStore(store) : store);
  }

  const session = new Session({ sharedKey: request.sharedKey });
  if (directories.size > 0) session.allow(provideDirectories(directories));
  for (const attachable of request.attachables ?? []) session.allow(attachable);
  if (stores.size > 0) session.allow(provideContent(stores));
  if (plan.targets.size > 0) session.allow(provideTargets(plan.targets));

  const attrs = new Map(request.frontendAttrs);
  if (request.frontend !== undefined || runGateway !== undefined) {
    for (const [key, value] of frontendCacheImports(cache)) attrs.set(key, value);
  }

  // One failure ends the rest; whoever cancels `stop` is the cause that the caller sees.
  const stop = new AbortController();
  const signal = request.signal === undefined ? stop.signal : AbortSignal.any([request.signal, stop.signal]);
  const tunnel = channel.stream(ControlDefinition, bytesMethod(methods.session), {
    metadata: session.metadata(),
  });
  const connection = linkFromCall(tunnel);
  const serving = session.run(() => Promise.resolve(connection));

  const solving = channel
    .unary(
      ControlDefinition,
      methods.solve,
      wireRequest(ref, session.id, { ...request, frontendAttrs: attrs }, cache),
      {
        signal,
        ...(request.traceParent === undefined ? {} : { metadata: [['traceparent', request.traceParent]] }),
      },
    )
    .catch((error: unknown) => {
      throw daemonError(error, 'failed to solve');
    });
  // A solve that was refused has no gateway to wait for.
  const refused = new AbortController();
  solving.catch(() => refused.abort(canceled()));
  const gatewaySignal = AbortSignal.any([signal, refused.signal]);
  const running = runGateway?.({ ref, sessionId: session.id, attrs, signal: gatewaySignal }).catch(
    async (error: unknown) => {
      // The daemon hears of the failure and fails the solve, whose error says more; this is for when it does not.
      const patience = setTimeout(() => stop.abort(canceled()), SOLVE_PATIENCE_MS);
      await solving.catch(() => {});
      clearTimeout(patience);
      throw error;
    },
  );
  const following = followStatus(channel, ref, solving, request.onStatus);
  // A tunnel that breaks must not leave the solve waiting for it.
  let isOver = false;
  void connection.closed.then((error) => {
    if (!isOver)
      stop.abort(new BuildError(Code.Unavailable, `session ended: ${error?.message ?? 'connection closed'}`));
  });

  try {
    const [solved, ran, followed] = await Promise.allSettled([solving, running, following]);
    for (const part of [solved, ran, followed]) if (part.status === 'rejected') throw part.reason;
    const response = (solved as PromiseFulfilledResult<{ ExporterResponse: Map<string, string> }>).value;
    await finishLayouts(response.ExporterResponse, cache, plan.layouts);
    return { exporterResponse: response.ExporterResponse };
  } finally {
    isOver = true;
    await session.close();
    connection.destroy();
    await serving;
  }
}
