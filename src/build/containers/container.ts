/** One container that a client started: mounts, the processes in them, and what can be read of them. */
import { BuildError, canceled, Code, invalidArgument, logger } from '../../base/index.ts';
import type { Executor, ProcessIo } from '../../executor/types.ts';
import { normalizePlatform, defaultPlatform } from '../../oci/index.ts';
import type { Platform } from '../../oci/index.ts';
import { defaultPath, processMeta, secretEnvironment, StepMounts } from '../../ops/index.ts';
import type { StepContext } from '../../ops/index.ts';
import type { InitMessage } from '../../proto/gateway.pb.ts';
import { Meta, Mount } from '../../proto/ops.pb.ts';
import type { HostIP, NetMode } from '../../proto/ops.pb.ts';
import type { SessionManager } from '../../session/types.ts';
import { mountLocally } from '../../storage/index.ts';
import type { LocalMount } from '../../storage/index.ts';
import type { CacheAccessor, ImmutableRef } from '../../storage/types.ts';

export interface ContainerDeps {
  readonly accessor: CacheAccessor;
  /** Checks what may run: see guardExecutor. */
  readonly executor: Executor;
  readonly sessions: SessionManager;
  readonly sessionId: string;
}

export interface ContainerRequest {
  /** How the client calls it; the executor gets a name of our own. */
  readonly id: string;
  /** `input` is the place in `inputs`, or -1. */
  readonly mounts: readonly Mount[];
  /** They stay the caller's. */
  readonly inputs: readonly (ImmutableRef | undefined)[];
  readonly network: NetMode;
  readonly hostname: string;
  readonly extraHosts: readonly HostIP[];
  readonly platform: Platform | undefined;
}

const ROOT = '/';

/** Of the message only what upstream's containers take. */
function processOf(init: InitMessage, request: ContainerRequest): Parameters<typeof processMeta>[0] {
  const { args = [], env = [], cwd = '', user = '', removeMountStubsRecursive = false } = init.Meta ?? {};
  const { hostname, extraHosts, network } = request;
  const meta = Meta.fromPartial({ args, env, cwd: cwd || '/', user, removeMountStubsRecursive, hostname });
  return { meta: { ...meta, extraHosts: [...extraHosts] }, network, security: init.Security };
}

export class GatewayContainer {
  readonly #deps: ContainerDeps;
  readonly #request: ContainerRequest;
  readonly #mounts: StepMounts;
  readonly #held: AsyncDisposableStack;
  readonly #abort: AbortController;
  readonly #context: StepContext;
  readonly #processes = new Set<Promise<void>>();
  readonly #shown = new Map<number, Promise<LocalMount>>();
  readonly #executorId: string;
  #isStarted = false;
  #failure: unknown;
  #releasing: Promise<void> | undefined;

  private constructor(
    deps: ContainerDeps,
    request: ContainerRequest,
    opened: { mounts: StepMounts; held: AsyncDisposableStack; abort: AbortController; context: StepContext },
    executorId: string,
  ) {
    this.#deps = deps;
    this.#request = request;
    this.#mounts = opened.mounts;
    this.#held = opened.held;
    this.#abort = opened.abort;
    this.#context = opened.context;
    this.#executorId = executorId;
  }

  /** Mounts are opened, nothing runs yet. `executorId` must be nobody else's; `signal` is for what opening them waits for. */
  static async open(
    deps: ContainerDeps,
    request: ContainerRequest,
    executorId: string,
    signal: AbortSignal,
  ): Promise<GatewayContainer> {
    if (!request.mounts.some((mount) => mount.dest === ROOT)) {
      throw invalidArgument(`container ${request.id} has no mount at ${ROOT}`);
    }
    const abort = new AbortController();
    const context: StepContext = {
      signal: abort.signal,
      sessions: () => (deps.sessionId === '' ? [] : [deps.sessionId]),
    };
    await using stack = new AsyncDisposableStack();
    const inputs = request.inputs.map((input) => {
      const held = input?.fork();
      stack.defer(async () => held?.release());
      return held;
    });
    const opening: StepContext = { ...context, signal };
    for (const input of inputs) await input?.unlazy(opening);
    const name = `container ${request.id}`;
    const { accessor, sessions } = deps;
    const mounts = await StepMounts.open({
      accessor,
      sessions,
      context: opening,
      // An output makes a mount writable on a copy of its own.
      mounts: request.mounts.map((mount) => ({ ...mount, output: 0n })),
      inputs,
      cwd: '',
      name,
    });
    stack.defer(() => mounts.release());
    const opened = { mounts, held: stack.move(), abort, context };
    return new GatewayContainer(deps, request, opened, executorId);
  }

  /** How many processes run in it. */
  get size(): number {
    return this.#processes.size;
  }

  /**
   * Starts a process: the first brings the container up, and with its end all others end. `onStarted` comes before any output.
   * Resolves when it has ended with 0; `signal` kills it.
   */
  async start(init: InitMessage, io: ProcessIo, signal: AbortSignal, onStarted: () => void): Promise<void> {
    if (this.#releasing !== undefined) throw new BuildError(Code.NotFound, `container ${this.#request.id} is released`);
    const process = this.#run(init, io, AbortSignal.any([signal, this.#abort.signal]), onStarted);
    this.#processes.add(process);
    try {
      await process;
    } catch (error) {
      this.#failure ??= error;
      throw error;
    } finally {
      this.#processes.delete(process);
    }
  }

  async #run(init: InitMessage, io: ProcessIo, signal: AbortSignal, onStarted: () => void): Promise<void> {
    const { executor, sessions } = this.#deps;
    const platform = normalizePlatform(this.#request.platform ?? defaultPlatform());
    const process = processOf(init, this.#request);
    const base = processMeta(process, {
      platform,
      readonlyRootfs: this.#mounts.root.readonly,
      secretEnv: await secretEnvironment(sessions, init.secretenv, { ...this.#context, signal }),
      resources: undefined,
    });
    const env = [...base.env];
    const setDefault = (name: string, value: string): void => {
      if (!env.some((entry) => entry.startsWith(`${name}=`))) env.push(`${name}=${value}`);
    };
    setDefault('PATH', defaultPath(platform.os));
    if (init.Tty) setDefault('TERM', 'xterm');
    const meta = { ...base, env, tty: init.Tty };
    if (this.#isStarted) return await executor.exec(this.#executorId, meta, io, { signal, onStarted });
    this.#isStarted = true;
    let isUp = false;
    try {
      const options = {
        signal,
        onStarted: () => {
          isUp = true;
          onStarted();
        },
      };
      await executor.run(this.#executorId, this.#mounts.root, this.#mounts.mounts, meta, io, options);
    } catch (error) {
      // One that could not even start may be tried again.
      if (!isUp) this.#isStarted = false;
      throw error;
    }
  }

  /** Where the content of that mount can be read, until the container is released. */
  async root(mount: number): Promise<string> {
    const count = this.#request.mounts.length;
    if (!Number.isInteger(mount) || mount < 0 || mount >= count) {
      throw invalidArgument(`mount index ${mount} is out of bounds (${count} available)`);
    }
    if (this.#releasing !== undefined) throw canceled();
    let shown = this.#shown.get(mount);
    if (shown === undefined) {
      const source = this.#mounts.source(mount);
      if (source === undefined) throw new BuildError(Code.NotFound, `mountable ${mount} not found`);
      shown = mountLocally(source, { readonly: true });
      shown.catch(() => this.#shown.delete(mount));
      this.#shown.set(mount, shown);
    }
    return (await shown).dir;
  }

  /** Kills what runs, then lets go of everything. Throws what the first process that failed failed with. */
  release(): Promise<void> {
    this.#releasing ??= this.#release();
    return this.#releasing;
  }

  async #release(): Promise<void> {
    this.#abort.abort(canceled());
    await Promise.allSettled(this.#processes);
    for (const shown of await Promise.allSettled(this.#shown.values())) {
      if (shown.status === 'fulfilled') this.#held.defer(() => shown.value.release());
    }
    try {
      await this.#held.disposeAsync();
    } catch (error) {
      logger.error('container was not let go of', { id: this.#request.id, error });
      throw error;
    }
    if (this.#failure !== undefined) throw this.#failure;
  }
}
