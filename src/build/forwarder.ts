/** LLBBridge on the control socket: finds the build that a call names and passes it on (metadata key: client/buildid upstream). */
import { BuildError, Code, Deferred, abortable, invalidArgument, RecentIds, sleep } from '../base/index.ts';
import { LLBBridgeDefinition } from '../proto/gateway.pb.ts';
import type { Handlers, ServerCall } from '../rpc/index.ts';
import type { GatewaySession } from './gateway-session.ts';

const BUILD_ID_KEY = 'buildkit-controlapi-buildid';
const REGISTRATION_WAIT_MS = 3000;
/** The refused Solve says why: its answer should be there before the one that there is no such job. */
const REFUSAL_DELAY_MS = 100;

export class GatewayForwarder {
  readonly #sessions = new Map<string, GatewaySession>();
  readonly #waiting = new Map<string, Set<Deferred>>();
  readonly #refused = new RecentIds({ lifetimeMs: REGISTRATION_WAIT_MS });

  /** Calls for the build are served until the returned function is called. */
  register(buildId: string, session: GatewaySession): () => void {
    if (this.#sessions.has(buildId)) throw new BuildError(Code.AlreadyExists, `build ID ${buildId} exists`);
    this.#sessions.set(buildId, session);
    this.#refused.take(buildId);
    for (const waiter of this.#waiting.get(buildId) ?? []) waiter.resolve();
    return () => void this.#sessions.delete(buildId);
  }

  /** The build failed: who calls for it need not wait for it to be registered. */
  refuse(buildId: string): void {
    const waiters = this.#waiting.get(buildId);
    if (waiters === undefined) this.#refused.add(buildId);
    for (const waiter of waiters ?? []) waiter.resolve();
  }

  /** A client may call before its Solve has arrived: waits a little, then "no such job". */
  async find(call: ServerCall): Promise<GatewaySession> {
    const ids = call.metadata.get(BUILD_ID_KEY) ?? [];
    if (ids.length !== 1 || ids[0] === '') throw invalidArgument('no buildid found in context');
    const buildId = ids[0];
    const known = this.#sessions.get(buildId);
    if (known !== undefined) return known;
    const registered = new Deferred();
    const waiters = this.#waiting.get(buildId) ?? new Set();
    this.#waiting.set(buildId, waiters.add(registered));
    const giveUp = new AbortController();
    try {
      if (!this.#refused.take(buildId)) {
        const patience = sleep(REGISTRATION_WAIT_MS, giveUp.signal);
        await abortable(Promise.race([registered.promise, patience]), call.signal);
      }
      if (!this.#sessions.has(buildId)) await sleep(REFUSAL_DELAY_MS, call.signal);
    } finally {
      giveUp.abort();
      waiters.delete(registered);
      if (waiters.size === 0) this.#waiting.delete(buildId);
    }
    const session = this.#sessions.get(buildId);
    if (session === undefined) throw new BuildError(Code.NotFound, `no such job ${buildId}`);
    return session;
  }

  handlers(): Handlers<typeof LLBBridgeDefinition> {
    return gatewayHandlers((call) => this.find(call));
  }
}

/** The service for whichever session `find` says a call is for. */
export function gatewayHandlers(
  find: (call: ServerCall) => Promise<GatewaySession>,
): Handlers<typeof LLBBridgeDefinition> {
  return {
    ping: async (_request, call) => (await find(call)).ping(),
    inputs: async (_request, call) => (await find(call)).inputs(),
    solve: async (request, call) => (await find(call)).solve(request),
    readFile: async (request, call) => (await find(call)).readFile(request),
    readDir: async (request, call) => (await find(call)).readDir(request),
    statFile: async (request, call) => (await find(call)).statFile(request),
    resolveImageConfig: async (request, call) => (await find(call)).resolveImageConfig(request),
    resolveSourceMeta: async (request, call) => (await find(call)).resolveSourceMeta(request),
    async evaluate(request, call) {
      await (await find(call)).evaluate(request);
      return {};
    },
    async warn(request, call) {
      await (await find(call)).warn(request);
      return {};
    },
    readFileContainer: async (request, call) => (await find(call)).readFileContainer(request),
    readDirContainer: async (request, call) => (await find(call)).readDirContainer(request),
    statFileContainer: async (request, call) => (await find(call)).statFileContainer(request),
    execProcess: async (input, out, call) => (await find(call)).execProcess(input, out, call.signal),
    async newContainer(request, call) {
      await (await find(call)).newContainer(request, call.signal);
      return {};
    },
    async releaseContainer(request, call) {
      await (await find(call)).releaseContainer(request);
      return {};
    },
    async return(request, call) {
      await (await find(call)).return(request);
      return {};
    },
  };
}
