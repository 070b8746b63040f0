/**
 * One run of a frontend that is an image (`gateway.v0`): a container with a gateway of its own on stdin and stdout. Whatever
 * becomes of it, its container, its refs and the files that were made for it go with it.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BuildError, Code, logger, toBuildError, wrapError } from '../base/index.ts';
import type { ExecMount, ProcessMeta } from '../executor/types.ts';
import { checkFrontendCapabilities, findFrontendImage, frontendProcess, needsNoNetwork } from '../frontends/index.ts';
import type { FrontendImage, FrontendProcess } from '../frontends/index.ts';
import type { GatewaySolveRequest } from '../frontends/types.ts';
import type { BuildResult } from '../llb/index.ts';
import { LLBBridgeDefinition } from '../proto/gateway.pb.ts';
import { Definition } from '../proto/ops.pb.ts';
import { addHealth, createServer, duplexPair } from '../rpc/index.ts';
import type { ImmutableRef, Mountable } from '../storage/types.ts';
import { releaseAll } from './bridge.ts';
import type { Bridge } from './bridge.ts';
import { FrontendGateway } from './frontend-gateway.ts';
import { FrontendLog } from './frontend-log.ts';
import { gatewayHandlers } from './forwarder.ts';
import { GatewaySession } from './gateway-session.ts';
import type { LazyRef } from './lazy-ref.ts';

type Result = BuildResult<LazyRef | undefined>;

/** Where a frontend finds the definition of its own image (frontend/gateway/gateway.go upstream). */
const METADATA_FOLDER = '/run/config/buildkit/metadata';
const CLOSE_MS = 200;

function bindOf(dir: string): Mountable {
  const options = ['bind', 'ro', 'nosuid', 'nodev', 'noexec'];
  return { mounts: async () => ({ mounts: [{ type: 'bind', source: dir, options }], release: async () => {} }) };
}

function metaOf(process: FrontendProcess, hasNetwork: boolean): ProcessMeta {
  return {
    ...process,
    user: '',
    readonlyRootfs: false,
    hostname: '',
    extraHosts: [],
    ulimits: [],
    cgroupParent: '',
    network: hasNetwork ? 'default' : 'none',
    security: 'sandbox',
    validExitCodes: [],
    removeMountStubsRecursive: true,
    tty: false,
  };
}

/** Its files on a tree that only it writes to, and the definition of its image among them. */
async function openMounts(
  bridge: Bridge,
  ref: ImmutableRef,
  definition: Definition,
  stack: AsyncDisposableStack,
): Promise<{ root: ExecMount; mounts: ExecMount[] }> {
  const rootfs = await bridge.env.accessor.create(ref, { description: 'frontend' });
  stack.defer(() => rootfs.release());
  const dir = await mkdtemp(join(tmpdir(), 'buildkit-metadata'));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  await writeFile(join(dir, 'frontend.bin'), Definition.encode(definition).finish(), { mode: 0o400 });
  const place = { selector: '', readonly: false };
  return {
    root: { ...place, source: rootfs, dest: '/' },
    mounts: [{ ...place, source: bindOf(dir), dest: METADATA_FOLDER, readonly: true }],
  };
}

/** Serves `session` to the process until it ends. Rejects when it fails, or speaks no gRPC. */
async function converse(
  bridge: Bridge,
  session: GatewaySession,
  mounted: { root: ExecMount; mounts: ExecMount[] },
  meta: ProcessMeta,
): Promise<void> {
  const server = createServer();
  server.add(
    LLBBridgeDefinition,
    gatewayHandlers(async () => session),
  );
  addHealth(server);
  const [ours, its] = duplexPair();
  its.on('error', () => {});
  const log = new FrontendLog();
  const abort = new AbortController();
  const signal = AbortSignal.any([bridge.signal, abort.signal]);
  let hasEnded = false;
  const serving = server.serve(ours).then(() => {
    // One that has said what it had to may hang up before it ends.
    if (!hasEnded && !session.hasReturned)
      abort.abort(new BuildError(Code.Unknown, 'frontend grpc server closed unexpectedly'));
  });
  try {
    const io = { stdin: its, stdout: its, stderr: log };
    await bridge.executor.run(undefined, mounted.root, mounted.mounts, meta, io, { signal });
  } catch (error) {
    log.tell(error);
    throw abort.signal.aborted && !bridge.signal.aborted ? abort.signal.reason : error;
  } finally {
    hasEnded = true;
    its.destroy();
    log.destroy();
    await server.close(CLOSE_MS);
    await serving;
  }
}

export class ImageFrontend {
  readonly #bridge: Bridge;
  readonly #request: GatewaySolveRequest;
  readonly #depth: number;

  constructor(bridge: Bridge, request: GatewaySolveRequest, depth: number) {
    this.#bridge = bridge;
    this.#request = request;
    this.#depth = depth;
  }

  get #source(): string {
    return this.#request.frontendOpt?.get('source') ?? '';
  }

  /** The refs of the result are the caller's. */
  async run(): Promise<Result> {
    const gateway = new FrontendGateway(this.#bridge, this.#request, this.#depth);
    const allowed = this.#bridge.env.frontendRepositories ?? [];
    const found = await gateway.lend((client) => findFrontendImage(client, allowed));
    const process = frontendProcess(found.config, gateway.buildOpts());
    const labels = found.config.Labels ?? {};
    const inputs = this.#request.frontendInputs ?? new Map<string, Definition>();
    const caps = this.#request.frontendOpt?.get('frontend.caps');
    await using stack = new AsyncDisposableStack();
    const { ref, definition } = await this.#load(found, stack);
    checkFrontendCapabilities({ labels, digest: found.digest }, { caps, hasInputs: inputs.size > 0 });
    const mounted = await openMounts(this.#bridge, ref, definition, stack);
    const session = new GatewaySession(this.#bridge, inputs, this.#depth);
    stack.defer(() => session.discard());
    return await this.#outcome(
      session,
      converse(this.#bridge, session, mounted, metaOf(process, !needsNoNetwork(labels))),
    );
  }

  async #load(
    { definition }: FrontendImage,
    stack: AsyncDisposableStack,
  ): Promise<{ ref: ImmutableRef; definition: Definition }> {
    const bridge = this.#bridge;
    const { ref: lazy } = await bridge.solve({ definition }, this.#depth);
    if (lazy === undefined) throw new BuildError(Code.Unknown, "gateway source didn't return default result");
    stack.defer(() => lazy.release());
    const ref = await lazy.immutable(bridge.signal);
    if (ref === undefined) throw new BuildError(Code.Unknown, 'the image of the frontend is empty');
    await ref.unlazy({ signal: bridge.signal, sessions: () => bridge.job.sessions });
    return { ref, definition: lazy.definition };
  }

  /** An error that was returned counts before a process that failed, and that before a result. */
  async #outcome(session: GatewaySession, running: Promise<void>): Promise<Result> {
    let failure: BuildError | undefined;
    try {
      await running;
    } catch (error) {
      const isStopped = this.#bridge.signal.aborted;
      failure = isStopped ? toBuildError(error) : wrapError(error, `frontend ${this.#source}`);
    }
    if (!session.hasReturned)
      throw failure ?? new BuildError(Code.Unknown, `frontend ${this.#source}: no result for incomplete build`);
    const result = await session.returned;
    if (failure === undefined) return result;
    await releaseAll(result).catch((error: unknown) => logger.warn('a result was not released', { error }));
    throw failure;
  }
}
