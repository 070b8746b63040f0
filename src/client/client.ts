import { invalidArgument, throwIfAborted, wrapError } from '../base/index.ts';
import type { Frontend } from '../frontends/types.ts';
import { ContentDefinition } from '../proto/content.pb.ts';
import { ControlDefinition } from '../proto/control.pb.ts';
import type {
  BuildHistoryEvent,
  InfoResponse,
  StatusResponse,
  UpdateBuildHistoryRequest,
  UsageRecord,
} from '../proto/control.pb.ts';
import { TraceServiceDefinition } from '../proto/trace.pb.ts';
import type { WorkerRecord } from '../proto/worker.pb.ts';
import type { CallOptions, Channel, MethodDefinition } from '../rpc/index.ts';
import { daemonError } from './daemon-error.ts';
import { gatewayFor, runFrontend } from './gateway.ts';
import { solve } from './solve.ts';
import type { SolveRequest, SolveResult } from './types.ts';

export interface PruneOptions {
  readonly filter?: readonly string[];
  /** Records of frontends and internal ones too. */
  readonly all?: boolean;
  readonly keepDurationNs?: bigint;
  readonly reservedSpace?: bigint;
  readonly maxUsedSpace?: bigint;
  readonly minFreeSpace?: bigint;
  readonly signal?: AbortSignal;
}

export interface HistoryQuery {
  readonly activeOnly?: boolean;
  readonly ref?: string;
  /** What is known now, then the end; otherwise it goes on with what happens. */
  readonly earlyExit?: boolean;
  readonly filter?: readonly string[];
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

const { methods } = ControlDefinition;

/** One connection to a daemon, which it owns. Calls throw BuildError with the daemon's details. */
export class Client {
  readonly channel: Channel;

  constructor(channel: Channel) {
    this.channel = channel;
  }

  /** Builds a definition, or with a frontend of the daemon. */
  async solve(request: SolveRequest): Promise<SolveResult> {
    const frontend = request.frontend ?? '';
    if (frontend === '' && request.definition === undefined) throw invalidArgument('invalid empty definition');
    if (frontend !== '' && request.definition !== undefined) {
      throw invalidArgument(`invalid definition for frontend ${frontend}`);
    }
    return solve(this.channel, request, undefined);
  }

  /**
   * Builds what `frontend` returns: it runs in this process and asks the daemon for solves. `request.frontendAttrs` are
   * its options; `request.frontend` is not used.
   */
  async build(frontend: Frontend, request: SolveRequest, product = 'buildkit'): Promise<SolveResult> {
    if (request.definition !== undefined) throw invalidArgument('a build by function takes no definition');
    let workers: WorkerRecord[];
    try {
      workers = await this.listWorkers([], request.signal);
    } catch (error) {
      throw wrapError(error, 'listing workers for Build');
    }
    return solve(this.channel, { ...request, frontend: undefined }, async ({ ref, sessionId, attrs, signal }) => {
      const gateway = await gatewayFor(this.channel, { ref, sessionId, opts: attrs, workers, product, signal });
      await runFrontend(gateway, frontend, signal);
    });
  }

  /** The progress of a build, running or past, until it ends. */
  status(ref: string, signal?: AbortSignal): AsyncGenerator<StatusResponse> {
    return this.#serverStream(methods.status, { Ref: ref }, signal);
  }

  async diskUsage(filter: readonly string[] = [], signal?: AbortSignal): Promise<UsageRecord[]> {
    const request = { filter: [...filter], ageLimit: 0n };
    const { record } = await this.#unary(methods.diskUsage, request, 'failed to call diskusage', { signal });
    // As every client shows them: by size, then by id.
    return record.toSorted((x, y) => (x.Size === y.Size ? (x.ID < y.ID ? -1 : 1) : x.Size < y.Size ? -1 : 1));
  }

  /** The records that went, as they go. */
  prune(options: PruneOptions = {}): AsyncGenerator<UsageRecord> {
    const request = {
      filter: [...(options.filter ?? [])],
      all: options.all ?? false,
      keepDuration: options.keepDurationNs ?? 0n,
      reservedSpace: options.reservedSpace ?? 0n,
      maxUsedSpace: options.maxUsedSpace ?? 0n,
      minFreeSpace: options.minFreeSpace ?? 0n,
    };
    return this.#serverStream(methods.prune, request, options.signal);
  }

  async listWorkers(filter: readonly string[] = [], signal?: AbortSignal): Promise<WorkerRecord[]> {
    const request = { filter: [...filter] };
    return (await this.#unary(methods.listWorkers, request, 'failed to list workers', { signal })).record;
  }

  /** Encoded ResourceSpans of OpenTelemetry, for the daemon's collector. */
  async exportSpans(resourceSpans: readonly Uint8Array[], options: CallOptions = {}): Promise<void> {
    const { methods: traces } = TraceServiceDefinition;
    await this.channel.unary(TraceServiceDefinition, traces.export, { resourceSpans: [...resourceSpans] }, options);
  }

  info(options: CallOptions = {}): Promise<InfoResponse> {
    return this.#unary(methods.info, {}, 'failed to call info', options);
  }

  /** Builds that run, ended and were deleted. */
  listenHistory(query: HistoryQuery = {}): AsyncGenerator<BuildHistoryEvent> {
    const request = {
      ActiveOnly: query.activeOnly ?? false,
      Ref: query.ref ?? '',
      EarlyExit: query.earlyExit ?? false,
      Filter: [...(query.filter ?? [])],
      Limit: query.limit ?? 0,
    };
    return this.#serverStream(methods.listenBuildHistory, request, query.signal);
  }

  async updateHistory(
    change: Partial<UpdateBuildHistoryRequest> & { Ref: string },
    signal?: AbortSignal,
  ): Promise<void> {
    const request = { Pinned: false, Delete: false, Finalize: false, ...change };
    await this.#unary(methods.updateBuildHistory, request, undefined, { signal });
  }

  /** A blob of the history's content store: logs, traces, provenance. */
  async *readBlob(digest: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const request = { digest, offset: 0n, size: 0n };
    const call = this.channel.stream(ContentDefinition, ContentDefinition.methods.read, { signal });
    try {
      call.write(request).catch(() => {});
      call.end();
      for await (const { data } of call) yield data;
    } finally {
      call.cancel();
    }
  }

  async #unary<Req, Res>(
    method: MethodDefinition<Req, Res>,
    request: Req,
    context: string | undefined,
    options: CallOptions,
  ): Promise<Res> {
    try {
      return await this.channel.unary(ControlDefinition, method, request, options);
    } catch (error) {
      throw context === undefined ? error : daemonError(error, context);
    }
  }

  async *#serverStream<Req, Res>(
    method: MethodDefinition<Req, Res>,
    request: Req,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Res> {
    throwIfAborted(signal);
    const call = this.channel.stream(ControlDefinition, method, { signal });
    try {
      // What fails here, the status explains.
      call.write(request).catch(() => {});
      call.end();
      for await (const message of call) yield message;
    } finally {
      call.cancel();
    }
  }

  close(): Promise<void> {
    return this.channel.close();
  }
}
