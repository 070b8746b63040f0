import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { abortReason, BuildError, canceled, Code, invalidArgument, notFound, randomId, sleep } from '../base/index.ts';
import type { DeviceRegistry } from './cdi/index.ts';
import { execProcess } from './exec-process.ts';
import { clearLeftovers } from './leftovers.ts';
import type { DnsConfig } from './network-files.ts';
import type { Networks } from './network/index.ts';
import { describeContainer, hasStarted, runContainer } from './run-container.ts';
import type { Container, ContainerPlace } from './run-container.ts';
import { Runtime } from './runtime.ts';
import type { Executor } from './types.ts';

export interface RuncExecutorOptions {
  /** Folder for bundles and the runtime's state. */
  readonly root: string;
  /** Name or path of the runtime; undefined: the first of buildkit-runc and runc in PATH. */
  readonly binary?: string;
  /** The group below which all containers stand; `x.slice:` for systemd's. */
  readonly cgroupParent?: string;
  readonly dns?: DnsConfig;
  /** What an op gets that asks for nothing; undefined: the host's network. Opened and closed by whoever gives it. */
  readonly networks?: Networks;
  /** Devices that steps may have. */
  readonly devices?: DeviceRegistry;
  /** A unix socket with OpenTelemetry's trace service, for what runs in containers. */
  readonly traceSocket?: string;
}

export interface RuncExecutor extends Executor {
  /** Ends and clears what a killed predecessor left below the root. */
  killLeftovers(): Promise<void>;
  /** Kills what runs and resolves when all of it is cleared. */
  close(): Promise<void>;
}

const CONTAINER_ID = /^[A-Za-z0-9]{1,128}$/;
const START_PAUSE_MS = 50;

async function untilStarted(
  id: string,
  running: ReadonlyMap<string, Container>,
  signal: AbortSignal,
): Promise<Container> {
  const container = running.get(id);
  if (container === undefined) throw notFound(`container ${id} not found`);
  while (!hasStarted(container)) {
    await sleep(START_PAUSE_MS, signal);
    if (running.get(id) !== container) throw new BuildError(Code.FailedPrecondition, `container ${id} has stopped`);
  }
  return container;
}

/** Containers by runc. The binary is looked for when it is needed first. */
export function createRuncExecutor(options: RuncExecutorOptions): RuncExecutor {
  mkdirSync(options.root, { recursive: true, mode: 0o711 });
  const root = realpathSync(options.root);
  // The name is none that a container may have.
  const runtime = new Runtime(options.binary, join(root, 'runc-state'));
  const place: ContainerPlace = {
    root,
    runtime,
    cgroupParent: options.cgroupParent,
    dns: options.dns,
    networks: options.networks,
    devices: options.devices,
    traceSocket: options.traceSocket,
  };
  const running = new Map<string, Container>();
  const runs = new Set<Promise<void>>();
  const closing = new AbortController();

  const track = async (work: Promise<void>): Promise<void> => {
    runs.add(work);
    try {
      await work;
    } finally {
      runs.delete(work);
    }
  };

  const runOne: Executor['run'] = async (wanted, rootMount, mounts, meta, io, request) => {
    const id = wanted === undefined || wanted === '' ? randomId() : wanted;
    if (!CONTAINER_ID.test(id))
      throw invalidArgument(`invalid container id ${JSON.stringify(id)}: only letters and numbers are allowed`);
    if (running.has(id)) throw new BuildError(Code.AlreadyExists, `container ${id} exists already`);
    const signal = AbortSignal.any([request.signal, closing.signal]);
    if (signal.aborted) throw abortReason(signal);
    const container = describeContainer(place, id, meta);
    running.set(id, container);
    const isGroupNeeded = (group: string): boolean =>
      [...running.values()].some((other) => !other.hasLeftGroup && other.cgroup.startsWith(`${group}/`));
    try {
      await runContainer(
        place,
        container,
        { root: rootMount, mounts, meta, io },
        { ...request, signal },
        isGroupNeeded,
      );
    } finally {
      running.delete(id);
    }
  };

  return {
    run: (...args) => track(runOne(...args)),
    async exec(id, meta, io, request) {
      const signal = AbortSignal.any([request.signal, closing.signal]);
      const container = await untilStarted(id, running, signal);
      const work = execProcess(runtime, container, meta, io, { ...request, signal });
      container.execs.add(work);
      try {
        await work;
      } finally {
        container.execs.delete(work);
      }
    },
    async killLeftovers() {
      await clearLeftovers(runtime, root, CONTAINER_ID);
      await options.networks?.clearLeftovers();
    },
    async close() {
      closing.abort(canceled('the executor is closed'));
      await Promise.allSettled(runs);
    },
  };
}
