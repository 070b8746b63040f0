/** One container from its mounts to its end; whatever happens, nothing of it stays. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { BuildError, Code, internal, invalidArgument, logger, sleep, throwIfAborted } from '../base/index.ts';
import { mount, mountPoints, unmount } from '../host/index.ts';
import { callProcess } from './call-process.ts';
import type { DeviceRegistry } from './cdi/index.ts';
import { cgroupsPath, hasGroup, killGroup, removeGroup, wasOutOfMemory } from './cgroups.ts';
import { checkEnd } from './exit.ts';
import { destinationOf, hostMount, isWhole, pin, prepareMount } from './exec-mounts.ts';
import type { RuntimeMount } from './exec-mounts.ts';
import { missingMountPoints, removeMountStubs } from './mount-stubs.ts';
import type { Networks, ProxiedLease } from './network/index.ts';
import { makeHosts, resolvConfFor } from './network-files.ts';
import type { DnsConfig } from './network-files.ts';
import { checkRuntimeFolders, makeWorkingDirectory } from './root-file-system.ts';
import { removeFolder } from './remove-folder.ts';
import { runtimeError } from './runtime.ts';
import type { Runtime } from './runtime.ts';
import { settledWithin } from './settled-within.ts';
import { trustAuthority } from './trust-bundles.ts';
import { buildSpec } from './spec/index.ts';
import type { OciSpec, SpecNetwork } from './spec/index.ts';
import type { ExecMount, ProcessIo, ProcessMeta } from './types.ts';
import { tracingEnvironment, tracingMount } from './tracing.ts';
import { recordStepUsage } from './usage/index.ts';
import type { StepUsage } from './usage/index.ts';
import { resolveUser } from './user.ts';

export interface ContainerPlace {
  readonly root: string;
  readonly runtime: Runtime;
  readonly cgroupParent: string | undefined;
  readonly dns: DnsConfig | undefined;
  readonly networks: Networks | undefined;
  readonly devices: DeviceRegistry | undefined;
  /** Where spans of processes are taken; undefined: nowhere. */
  readonly traceSocket: string | undefined;
}

export interface Container {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: string;
  /** Below which others may be; known before the runtime starts. */
  readonly cgroup: string;
  /** True from when its group is removed: it needs those above it no more. */
  hasLeftGroup: boolean;
  spec: OciSpec | undefined;
  /** The further processes in it: it stays until they have ended. */
  readonly execs: Set<Promise<unknown>>;
  /** Aborted when its processes are gone and nobody is waited for any more. */
  readonly gone: AbortController;
}

export interface RunOptions {
  readonly signal: AbortSignal;
  readonly onStarted?: () => void;
  /** Told what the process used when it has ended, where the kernel tells. */
  readonly onUsage?: (usage: StepUsage) => void;
}

const FILE_OPTIONS = ['rbind', 'ro', 'nosuid', 'noexec', 'nodev'];
/** How long what a further process wrote at its end may take to be read. */
const EXEC_GRACE_MS = 1000;

export function describeContainer(place: ContainerPlace, id: string, meta: ProcessMeta): Container {
  const bundle = join(place.root, id);
  return {
    id,
    bundle,
    rootfs: join(bundle, 'rootfs'),
    cgroup: cgroupsPath(place.cgroupParent, meta.cgroupParent, id),
    hasLeftGroup: false,
    spec: undefined,
    execs: new Set(),
    gone: new AbortController(),
  };
}

/** Never while something is mounted below: those would be somebody's files. */
export async function removeBundle(bundle: string): Promise<void> {
  const [mounted] = mountPoints(bundle);
  if (mounted !== undefined) throw internal(`${mounted} is still mounted`);
  await removeFolder(bundle);
}

function makeBundle(bundle: string): void {
  try {
    mkdirSync(bundle, { mode: 0o711 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new BuildError(Code.AlreadyExists, `container ${JSON.stringify(bundle)} exists already`);
  }
}

async function mountRoot(container: Container, root: ExecMount, stack: AsyncDisposableStack): Promise<void> {
  // Writable always: mount points may have to be made. A read-only root is one inside the container.
  const set = await root.source.mounts({ readonly: false });
  stack.defer(() => set.release());
  const { rootfs } = container;
  const all = isWhole(root.selector) ? rootfs : join(container.bundle, 'base');
  mkdirSync(all, { mode: 0o700 });
  stack.defer(() => unmount(all));
  mount(set.mounts.map(hostMount), all);
  if (all === rootfs) return;
  stack.defer(() => unmount(rootfs));
  pin(all, root.selector, rootfs);
}

async function mountAll(
  container: Container,
  mounts: readonly ExecMount[],
  stack: AsyncDisposableStack,
): Promise<RuntimeMount[]> {
  const made: RuntimeMount[] = [];
  for (const [i, one] of mounts.entries()) {
    const at = join(container.bundle, `mount-${i}`);
    mkdirSync(at, { mode: 0o700 });
    const prepared = await prepareMount(one, at, stack);
    if (prepared !== undefined) made.push(prepared);
  }
  return made;
}

interface JoinedNetwork {
  readonly network: SpecNetwork;
  readonly proxy?: Pick<ProxiedLease, 'env' | 'authority'>;
}

/** What the step asks for, or the worker's own network until the stack is disposed. */
async function joinNetwork(
  place: ContainerPlace,
  meta: ProcessMeta,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<JoinedNetwork> {
  if (meta.proxy !== undefined && meta.network !== 'none') {
    if (place.networks === undefined) throw internal('proxy network provider is not available');
    const lease = await place.networks.acquireProxied(meta.network, meta.proxy, signal);
    stack.defer(() => lease.release(false));
    return { network: lease.network, proxy: lease };
  }
  if (meta.network !== 'default') return { network: { kind: meta.network } };
  if (place.networks === undefined) return { network: { kind: 'host' } };
  const lease = await place.networks.acquire(meta.hostname, signal);
  // With all rights a step may have changed anything in it.
  stack.defer(() => lease.release(meta.security === 'sandbox'));
  return { network: lease.network };
}

/** Of a name that is there twice programs differ in which they take. */
function withVariables(env: readonly string[], added: readonly string[]): readonly string[] {
  const nameOf = (variable: string): string => variable.split('=', 1)[0] as string;
  const names = new Set(added.map(nameOf));
  return [...env.filter((variable) => !names.has(nameOf(variable))), ...added];
}

function environmentOf(
  { traceSocket }: ContainerPlace,
  { env, traceParent }: ProcessMeta,
  proxy: readonly string[],
): readonly string[] {
  const own = withVariables(env, proxy);
  return traceSocket === undefined ? own : tracingEnvironment(own, traceParent);
}

/** Everything up to config.json. */
async function prepare(
  place: ContainerPlace,
  container: Container,
  root: ExecMount,
  mounts: readonly ExecMount[],
  meta: ProcessMeta,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<void> {
  const { bundle, rootfs } = container;
  if (meta.args.length === 0) throw invalidArgument('arguments are required');
  const destinations = mounts.map(destinationOf);
  const hosts = makeHosts(meta);
  makeBundle(bundle);
  stack.defer(() => removeBundle(bundle));
  const resolvConfPath = join(bundle, 'resolv.conf');
  const hostsPath = join(bundle, 'hosts');
  writeFileSync(resolvConfPath, await resolvConfFor(meta.network, place.dns), { mode: 0o644 });
  writeFileSync(hostsPath, hosts, { mode: 0o644 });

  const { network, proxy } = await joinNetwork(place, meta, stack, signal);
  await mountRoot(container, root, stack);
  const stubs = missingMountPoints(rootfs, destinations, meta.removeMountStubsRecursive);
  stack.defer(() => removeMountStubs(rootfs, stubs));
  if (proxy !== undefined) stack.defer(await trustAuthority(rootfs, proxy.authority));
  checkRuntimeFolders(rootfs);
  const user = await resolveUser(rootfs, meta.user);
  const bound = await mountAll(container, mounts, stack);
  const cwd = posix.resolve('/', meta.cwd);
  makeWorkingDirectory(rootfs, cwd, user.uid, user.gid);

  container.spec = buildSpec({
    args: meta.args,
    env: environmentOf(place, meta, proxy?.env ?? []),
    cwd,
    ...user,
    rootPath: rootfs,
    readonlyRootfs: meta.readonlyRootfs || root.readonly,
    hostname: meta.hostname,
    terminal: meta.tty,
    mounts: [
      { type: 'bind', source: resolvConfPath, destination: '/etc/resolv.conf', options: FILE_OPTIONS },
      { type: 'bind', source: hostsPath, destination: '/etc/hosts', options: FILE_OPTIONS },
      ...(place.traceSocket === undefined ? [] : [tracingMount(place.traceSocket)]),
      ...bound,
    ],
    network,
    security: meta.security,
    ulimits: meta.ulimits,
    cgroupsPath: container.cgroup,
    ...(meta.resources === undefined ? {} : { resources: meta.resources }),
    ...(meta.devices === undefined || place.devices === undefined
      ? {}
      : { deviceEdits: place.devices.editsOf(meta.devices) }),
  });
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(container.spec), { mode: 0o600 });
}

async function endExecs(container: Container): Promise<void> {
  if (container.execs.size === 0) return;
  const all = Promise.allSettled(container.execs);
  await settledWithin(all, EXEC_GRACE_MS);
  container.gone.abort();
  await all;
}

async function removeContainer(
  place: ContainerPlace,
  container: Container,
  ended: () => boolean,
  isGroupNeeded: (group: string) => boolean,
): Promise<void> {
  if (!ended()) await place.runtime.remove(container.id);
  for (let i = 0; i < 20 && killGroup(container.cgroup); i++) await sleep(20);
  container.hasLeftGroup = true;
  removeGroup(container.cgroup, isGroupNeeded);
  if (ended() && (hasGroup(container.cgroup) || !(await place.runtime.forget(container.id)))) {
    await place.runtime.remove(container.id);
  }
}

async function runPrepared(
  place: ContainerPlace,
  container: Container,
  meta: ProcessMeta,
  io: ProcessIo,
  options: RunOptions,
  stack: AsyncDisposableStack,
  isGroupNeeded: (group: string) => boolean,
): Promise<void> {
  const { signal } = options;
  const { id, bundle } = container;
  const log = join(bundle, 'log.json');
  const pidFile = join(bundle, 'pid');
  throwIfAborted(signal);
  const args = ['run', '--bundle', bundle, '--keep', '--pid-file', pidFile, id];
  let ended = false;
  let endUsage: ReturnType<typeof recordStepUsage>;
  const exit = await callProcess(
    {
      id,
      tty: meta.tty,
      pidFile,
      async start(stdio) {
        const child = await place.runtime.start(log, args, stdio);
        stack.defer(() => removeContainer(place, container, () => ended, isGroupNeeded));
        return child;
      },
      kill: (child) => place.runtime.killContainer(id, child),
      async onExit(how) {
        // Killed, or gone wrong: the runtime itself clears up.
        ended = how.code !== null && !signal.aborted;
        if (endUsage !== undefined) options.onUsage?.(endUsage());
        await endExecs(container);
      },
    },
    io,
    {
      ...options,
      onStarted() {
        if (options.onUsage !== undefined) endUsage = recordStepUsage(container.cgroup);
        options.onStarted?.();
      },
      dropOutput: signal,
    },
  );
  const outOfMemory = exit.code !== 0 && wasOutOfMemory(container.cgroup);
  const failure = exit.code === 0 ? undefined : await runtimeError(log);
  checkEnd({ exit, runtimeError: failure, outOfMemory, validExitCodes: meta.validExitCodes, signal });
}

/** `isGroupNeeded` tells whether another container is, or will be, below that group. */
export async function runContainer(
  place: ContainerPlace,
  container: Container,
  request: { root: ExecMount; mounts: readonly ExecMount[]; meta: ProcessMeta; io: ProcessIo },
  options: RunOptions,
  isGroupNeeded: (group: string) => boolean,
): Promise<void> {
  const stack = new AsyncDisposableStack();
  try {
    await prepare(place, container, request.root, request.mounts, request.meta, stack, options.signal);
    await runPrepared(place, container, request.meta, request.io, options, stack, isGroupNeeded);
  } catch (error) {
    // What failed first is what the build is told.
    await stack
      .disposeAsync()
      .catch((late: unknown) => logger.error('container was not cleared', { id: container.id, error: late }));
    throw error;
  }
  await stack.disposeAsync();
}

export function hasStarted(container: Container): boolean {
  return existsSync(join(container.bundle, 'pid'));
}
