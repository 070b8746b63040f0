import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import { BuildError, Code, logger, toBuildError, wrapError } from '../base/index.ts';
import {
  BRIDGE_VALUE,
  Builds,
  createResultStore,
  describeStep,
  GatewayForwarder,
  judgeByAll,
  openHistory,
  parseEntitlement,
} from '../build/index.ts';
import type { Bridge, BuildEnvironment } from '../build/index.ts';
import { addServices } from '../control/index.ts';
import { createNetworks, createRuncExecutor, DeviceRegistry } from '../executor/index.ts';
import { createExporters } from '../exporters/index.ts';
import { dockerfileFrontend } from '../frontends/index.ts';
import { Transport } from '../http/index.ts';
import { linuxKernel, lockFile, space } from '../host/index.ts';
import type { CodeRecorder } from '../launch/index.ts';
import { normalizePlatform, parsePlatform } from '../oci/index.ts';
import { createOpResolver, dropCacheMounts, RefResult, SourceSet } from '../ops/index.ts';
import { createRegistry } from '../registry/index.ts';
import { createServer } from '../rpc/index.ts';
import { SessionRegistry } from '../session/index.ts';
import { createCacheManager, createSolver } from '../solver/index.ts';
import { createMetaResolver, createReopenProvider, createSessionAuth, createSources } from '../sources/index.ts';
import type { ImageDeps } from '../sources/index.ts';
import { openKeyStore } from '../storage/keys/index.ts';
import { openStorage } from '../storage/index.ts';
import type { CacheAccessor, PruneOptions } from '../storage/index.ts';
import { bytesOf, createWorker, defaultGcPolicies } from '../workers/index.ts';
import { Collector } from './collector.ts';
import { MemoryTrimmer } from './memory-trimmer.ts';
import type { DaemonConfig, OciWorkerConfig } from './config.ts';
import { IdleWatch } from './idle-watch.ts';
import { DiskReserve, explainFullDisk } from './disk-reserve.ts';
import { loadProvenanceEnv } from './provenance-env.ts';
import { openListener } from './listeners.ts';
import type { Listener } from './listeners.ts';
import { openTracing } from './tracing.ts';

export interface Daemon {
  /** The first address, as it is listened on. */
  readonly address: string;
  readonly addresses: readonly string[];
  /** Refuses new calls, gives running ones `graceMs`, releases everything. */
  close(graceMs?: number): Promise<void>;
}

const GRACE_MS = 3000;
const CACHE_ID = 'local';

/** Upstream's text (cmd/buildkitd/main.go). */
function lockRoot(root: string): { release(): void } {
  const path = join(root, 'buildkitd.lock');
  try {
    return lockFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EWOULDBLOCK') throw wrapError(error, `could not lock ${path}`);
    throw new BuildError(Code.FailedPrecondition, `could not lock ${path}, another instance running?`, {
      cause: error,
    });
  }
}

/** A folder that upstream's daemon wrote is not ours to change. */
function refuseForeignRoot(root: string): void {
  for (const name of ['cache.db', 'runc-overlayfs', 'runc-native', 'containerdmeta.db']) {
    if (existsSync(join(root, name))) {
      const message = `${root} holds the state of another builder (${name}): choose another --root or remove it`;
      throw new BuildError(Code.FailedPrecondition, message);
    }
  }
}

function gcPolicies(oci: OciWorkerConfig, root: string): readonly PruneOptions[] {
  if (!oci.gc) return [];
  const total = space(root).total;
  const caps = (c: Pick<OciWorkerConfig, 'reservedSpace' | 'maxUsedSpace' | 'minFreeSpace'>) => ({
    reservedSpace: bytesOf(c.reservedSpace, total),
    maxUsedSpace: bytesOf(c.maxUsedSpace, total),
    minFreeSpace: bytesOf(c.minFreeSpace, total),
  });
  if (oci.gcPolicy.length > 0) {
    return oci.gcPolicy.map((p) => ({ all: p.all, filter: p.filters, keepDurationNs: p.keepDurationNs, ...caps(p) }));
  }
  return defaultGcPolicies(oci, total);
}

/**
 * Opens everything below `config.root` and listens. Throws what a user can act on: a root that is in use, an address that is
 * taken, a snapshotter that does not work here.
 */
export async function startDaemon(config: DaemonConfig, recorder?: CodeRecorder): Promise<Daemon> {
  try {
    return await openDaemon(config, recorder);
  } catch (error) {
    throw await explainFullDisk(error, config.root);
  }
}

async function openDaemon(config: DaemonConfig, recorder: CodeRecorder | undefined): Promise<Daemon> {
  await using stack = new AsyncDisposableStack();
  mkdirSync(config.root, { recursive: true, mode: 0o711 });
  const lock = lockRoot(config.root);
  stack.defer(() => lock.release());
  refuseForeignRoot(config.root);
  const reserve = new DiskReserve(config.root, join(config.root, 'reserve'));
  reserve.giveUpIfFull();

  const { cdi } = config;
  const devices = cdi.disabled ? undefined : new DeviceRegistry(cdi.specDirs, cdi.autoAllowed);
  const networks = createNetworks({
    root: join(config.root, 'net'),
    mode: config.oci.networkMode,
    cniConfigPath: config.oci.cniConfigPath,
    cniBinaryDir: config.oci.cniBinaryPath,
    cniPoolSize: config.oci.cniPoolSize,
    bridgeName: config.oci.bridgeName,
    bridgeSubnet: config.oci.bridgeSubnet,
    env: process.env,
  });
  stack.defer(() => networks.close());
  const tracing = await openTracing(config, process.env);
  stack.defer(() => tracing.close());
  const executor = createRuncExecutor({
    root: join(config.root, 'executor'),
    networks,
    ...(config.oci.binary === '' ? {} : { binary: config.oci.binary }),
    ...(config.oci.defaultCgroupParent === '' ? {} : { cgroupParent: config.oci.defaultCgroupParent }),
    ...(config.dns === undefined ? {} : { dns: config.dns }),
    ...(devices === undefined ? {} : { devices }),
    ...(tracing.socket === undefined ? {} : { traceSocket: tracing.socket }),
  });
  // Before anything is mounted or handed out: what a killed predecessor left running writes to its files still.
  await executor.killLeftovers();
  stack.defer(() => executor.close());
  await networks.open();

  const sessions = new SessionRegistry();
  stack.defer(() => sessions.close());
  const registry = createRegistry({ hosts: config.registries, idleTimeoutMs: config.limits.registryIdleMs });
  stack.defer(() => registry.close());
  const http = new Transport({ idleTimeoutMs: config.limits.sourceIdleMs });
  stack.defer(() => http.close());

  let imageDeps: ImageDeps | undefined;
  const storage = await openStorage({
    root: config.root,
    snapshotter: snapshotterName(config.oci.snapshotter),
    kernel: linuxKernel,
    downloads: config.maxRegistryConcurrency,
    archiveLimits: config.limits.archive,
    makeRoom: () => reserve.lend(),
    reopenProvider: (origin) => (imageDeps === undefined ? undefined : createReopenProvider(imageDeps)(origin)),
  });
  stack.defer(() => storage.close());
  const deps: ImageDeps = { registry, sessions, content: storage.content, images: storage.images };
  imageDeps = deps;

  const worker = createWorker({
    root: config.root,
    snapshotter: storage.snapshotterName,
    network: networks.mode,
    labels: config.oci.labels,
    apparmorProfile: config.oci.apparmorProfile,
    platforms: config.oci.platforms.map((p) => normalizePlatform(parsePlatform(p))),
    gcPolicy: gcPolicies(config.oci, config.root),
  });
  const history = openHistory({
    root: config.root,
    maxEntries: config.history.maxEntries,
    maxAgeNs: config.history.maxAgeNs,
    traces: tracing.collector,
  });
  stack.defer(() => history.close());

  const { accessor, hasher } = storage;
  const allSources = createSources({ ...deps, accessor, hasher, http, gitIdleMs: config.limits.sourceIdleMs });
  const sources = new SourceSet(allSources);
  const cache = createCacheManager(CACHE_ID, openKeyStore(storage.db), createResultStore(accessor, worker.id));
  const solver = createSolver({
    cache,
    describeError: describeStep,
    resolveOp: createOpResolver({
      accessor,
      executor,
      hasher,
      sessions,
      sources,
      workerId: worker.id,
      platforms: () => worker.platforms(),
      maxParallelism: config.oci.maxParallelism,
      archiveLimits: config.limits.archive,
      judgeRequest: (context) => judgeByAll(() => (context.values(BRIDGE_VALUE) as Bridge[]).map((b) => b.policy)),
      nestedBuild: (definition, context) => {
        const [bridge, ...others] = context.values(BRIDGE_VALUE) as Bridge[];
        if (bridge === undefined) throw new BuildError(Code.Canceled, 'context canceled');
        return bridge.buildWithin(context, definition, others);
      },
    }),
  });
  stack.defer(() => solver.close());

  const forwarder = new GatewayForwarder();
  const environment: BuildEnvironment = {
    worker,
    accessor,
    content: storage.content,
    executor,
    sessions,
    solver,
    sources,
    metaResolver: createMetaResolver(deps, allSources),
    exporters: createExporters({ ...deps, auth: (id) => createSessionAuth(sessions, () => [id]) }),
    frontends: new Map(config.frontends.dockerfile ? [['dockerfile.v0', dockerfileFrontend]] : []),
    frontendRepositories: config.frontends.gateway ? config.frontends.gatewayRepositories : undefined,
    remoteCache: {
      registry,
      sessions,
      accessor,
      auth: (group, signal) => createSessionAuth(sessions, group, signal),
      makeResult: (ref) => new RefResult(worker.id, ref),
    },
    history,
    proxyNetwork: config.proxyNetwork,
    provenanceEnv: loadProvenanceEnv(config.provenanceEnvDir),
    // Each device has its own permission besides.
    entitlements: new Set([...config.entitlements, ...(devices === undefined ? [] : ['device'])].map(parseEntitlement)),
    ...(devices === undefined ? {} : { devices }),
    explain: (error) => explainFullDisk(error, config.root, () => reclaimableBytes(accessor)),
    dropCacheMounts: (ids) => dropCacheMounts(accessor, ids.keys()),
  };
  const collector = new Collector(storage, worker.gcPolicy, reserve);
  stack.defer(() => collector.close());
  collector.request();
  const trimmer = new MemoryTrimmer();
  stack.defer(() => trimmer.close());
  const watch = new IdleWatch(() => recorder?.idle());
  stack.defer(() => watch.close());

  if (config.debugAddress !== '') {
    const { openDebugServer } = await import('./debug-server.ts');
    const debug = await openDebugServer(config.debugAddress, () => trimmer.collectAll());
    stack.defer(() => debug.close());
  }

  const server = createServer();
  addServices(server, {
    builds: new Builds(environment, forwarder),
    forwarder,
    sessions,
    solver,
    history,
    traces: tracing.collector,
    accessor,
    worker,
    ...(devices === undefined ? {} : { devices }),
    withRoom: (work) => reserve.during(work),
    onBuild: () => {
      watch.begin();
      return (wentWell) => {
        if (wentWell) recorder?.built();
        watch.end();
        collector.request();
        trimmer.request();
      };
    },
    releaseUnreferenced: async (signal) => {
      await cache.releaseUnreferenced(signal);
      await storage.db.compact();
    },
  });

  const serve = (socket: Socket): Promise<void> => server.serve(socket);
  const listeners: Listener[] = [];
  const closeListeners = async (): Promise<void> => {
    await Promise.all(listeners.splice(0).map((l) => l.close()));
  };
  stack.defer(closeListeners);
  for (const address of config.addresses) {
    listeners.push(await openListener(address, { uid: config.uid, gid: config.gid, tls: config.tls, serve }));
    logger.info(`running server on ${address}`);
  }

  const keeping = reserve.takeBack();
  stack.defer(() => keeping);

  const addresses = listeners.map((l) => l.address);
  const owned = stack.move();
  let closing: Promise<void> | undefined;
  return {
    address: addresses[0],
    addresses,
    close(graceMs = GRACE_MS) {
      closing ??= (async () => {
        await server
          .close(graceMs)
          .catch((error: unknown) => logger.warn('server did not close', { error: toBuildError(error) }));
        await owned.disposeAsync();
      })();
      return closing;
    },
  };
}

async function reclaimableBytes(accessor: CacheAccessor): Promise<number> {
  const records = await accessor.diskUsage({});
  return records.reduce((sum, record) => sum + (record.inUse ? 0 : record.size), 0);
}

function snapshotterName(text: string): 'auto' | 'overlayfs' | 'native' {
  if (text === 'auto' || text === '' || text === 'overlayfs' || text === 'native') return text === '' ? 'auto' : text;
  throw new BuildError(Code.InvalidArgument, `snapshotter ${text} is not supported: auto, overlayfs or native`);
}
