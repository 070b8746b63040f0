import { internal, logger, nowNs, randomId, toBuildError } from '../../base/index.ts';
import type { TimeNs } from '../../base/index.ts';
import type { DiskContentStore } from '../../content/index.ts';
import type { ContentProvider } from '../../content/types.ts';
import type { Descriptor } from '../../oci/types.ts';
import type { BuildHistoryRecord, BuildResultInfo, Descriptor as WireDescriptor } from '../../proto/control.pb.ts';
import type { ResourceSpans } from '../../proto/otlp.pb.ts';
import { Status } from '../../proto/status.pb.ts';
import { encodeStatus } from '../../rpc/index.ts';
import type { ReceivedSpan, Recording, TraceCollector, TraceContext } from '../../trace/index.ts';
import { keepImage } from './kept-images.ts';
import type { OpenTrace } from './late-spans.ts';
import { StatusLogWriter } from './status-log.ts';
import type { StatusLog } from './status-log.ts';
import type { WriteRecord } from './unwritten-records.ts';
import { BuildTrace, encodeTrace, TRACE_MEDIA_TYPE } from './trace.ts';
import { toTimestamp } from './wire-time.ts';

/** Upstream's spelling. */
const ERROR_MEDIA_TYPE = 'application/vnd.googeapis.google.rpc.status+proto';
const ATTESTATION_MEDIA_TYPE = 'application/vnd.in-toto+json';
/** Names of the writes of this file begin so. */
export const ERROR_WRITE = 'history-error-';
export const TRACE_WRITE = 'history-trace-';

export interface BuildFacts {
  /** Of the client's call, when it traces. */
  readonly traceParent?: TraceContext;
  readonly ref: string;
  readonly frontend: string;
  readonly frontendAttrs: ReadonlyMap<string, string>;
  readonly exporters: readonly { readonly type: string; readonly attrs: ReadonlyMap<string, string> }[];
}

export interface BuildOutcome {
  readonly error?: unknown;
  readonly response?: ReadonlyMap<string, string>;
  /**
   * By platform, or '' for a result that has none. Attestations (in-toto) are listed as such; the others are what the
   * exporters made, in their order, with a hole for one that made no descriptor.
   */
  readonly results?: ReadonlyMap<string, readonly (Descriptor | undefined)[]>;
  /** Makes more of them, in the history's content, when nobody waits for the build any more. */
  readonly attest?: () => Promise<ReadonlyMap<string, readonly Descriptor[]>>;
  /** Where the images among the results can be read. */
  readonly images?: ContentProvider;
}

/** A build that is running. */
export interface ActiveRecord {
  readonly log: StatusLog;
  /** The trace that its steps belong to: the client's, or one of its own. */
  readonly traceId: string;
  /**
   * Once. Throws Internal when the build succeeded and its log could not be kept. The record itself is written a little
   * later, and by then for everybody who asks the history: a daemon that is killed in between has none.
   */
  finish(outcome: BuildOutcome): Promise<void>;
  /** As if the build had never begun. Does nothing after {@link finish}. */
  discard(): Promise<void>;
}

/** What the history does for a record of its own. */
export interface RecordKeeper {
  readonly content: DiskContentStore;
  readonly traces: TraceCollector;
  /** Commits of blobs and their removal exclude each other. */
  committing<T>(work: () => Promise<T>): Promise<T>;
  /** Runs `write` when it is in nobody's way, as one of the commits. Resolves before or after that. */
  later(ref: string, write: WriteRecord): Promise<void>;
  /** Stores and tells the listeners. `trace` gets what is still to come, and is the history's from then on. */
  completed(record: BuildHistoryRecord, trace: OpenTrace): void;
  /** It is no longer active, and is not stored. */
  dropped(ref: string): void;
}

export class BuildInProgress implements ActiveRecord {
  readonly log: StatusLog;
  readonly #writer: StatusLogWriter;
  readonly #trace: BuildTrace;
  readonly #recording: Recording;
  readonly startedAt: TimeNs = nowNs();
  /** As listeners see it; never changed. */
  readonly record: BuildHistoryRecord;
  readonly #keeper: RecordKeeper;
  #ended = false;

  constructor(facts: BuildFacts, keeper: RecordKeeper) {
    this.#keeper = keeper;
    const writer = new StatusLogWriter(keeper.content);
    const trace = new BuildTrace(facts.traceParent);
    this.#writer = writer;
    this.#trace = trace;
    this.#recording = keeper.traces.record(trace.traceId);
    this.log = {
      write: async (response) => {
        trace.add(response);
        await writer.write(response);
      },
    };
    this.record = {
      Ref: facts.ref,
      Frontend: facts.frontend,
      FrontendAttrs: new Map(facts.frontendAttrs),
      Exporters: facts.exporters.map(({ type, attrs }) => ({ Type: type, Attrs: new Map(attrs) })),
      error: undefined,
      CreatedAt: toTimestamp(this.startedAt),
      CompletedAt: undefined,
      logs: undefined,
      ExporterResponse: new Map(),
      Result: undefined,
      Results: new Map(),
      Generation: 0,
      trace: undefined,
      pinned: false,
      numCachedSteps: 0,
      numTotalSteps: 0,
      numCompletedSteps: 0,
      externalError: undefined,
      numWarnings: 0,
    };
  }

  get traceId(): string {
    return this.#trace.traceId;
  }

  /** Until {@link finish} or {@link discard} begins. */
  get isRunning(): boolean {
    return !this.#ended;
  }

  async finish(outcome: BuildOutcome): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const completedAt = nowNs();
    let failure: unknown;
    let logs: WireDescriptor | undefined;
    await this.#keeper.committing(async () => {
      try {
        logs = await this.#writer.commit();
      } catch (error) {
        failure = this.#failed(error);
      }
      await this.#keepImages(outcome);
    });
    const error = outcome.error ?? failure;
    await this.#keeper.later(this.record.Ref, () => this.#write({ ...outcome, error }, completedAt, logs));
    // The build's own error is the one to tell.
    if (failure !== undefined && outcome.error === undefined) throw failure;
  }

  async #write(outcome: BuildOutcome, completedAt: TimeNs, logs: WireDescriptor | undefined): Promise<void> {
    const { error } = outcome;
    const { total, cached, completed, warnings } = this.#writer.counts;
    try {
      const trace = this.#openTrace(completedAt, error);
      const record: BuildHistoryRecord = {
        ...this.record,
        ...resultsOf(outcome.results, await this.#attested(outcome)),
        ...(error === undefined ? {} : await this.#errorOf(error)),
        CompletedAt: toTimestamp(completedAt),
        logs,
        trace: await this.#commitTrace(trace),
        ExporterResponse: new Map(outcome.response),
        numTotalSteps: total,
        numCachedSteps: cached,
        numCompletedSteps: completed,
        numWarnings: warnings,
      };
      this.#keeper.completed(record, trace);
    } catch (thrown) {
      this.#recording.stop();
      this.#failed(thrown);
      this.#keeper.dropped(this.record.Ref);
    }
  }

  /** A record without attestations is better than none. */
  async #attested({ attest }: BuildOutcome): Promise<ReadonlyMap<string, readonly Descriptor[]>> {
    try {
      return (await attest?.()) ?? new Map();
    } catch (error) {
      logger.warn('provenance could not be kept', { ref: this.record.Ref, error });
      return new Map();
    }
  }

  #failed(cause: unknown): Error {
    logger.error(`failed to write the history record of ${this.record.Ref}`, { error: cause });
    return internal(`failed to write history record: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }

  /** A record without its images is better than none. */
  async #keepImages({ results, images }: BuildOutcome): Promise<void> {
    if (results === undefined || images === undefined) return;
    try {
      for (const descriptor of [...results.values()].flat()) {
        if (descriptor === undefined || descriptor.mediaType === ATTESTATION_MEDIA_TYPE) continue;
        await keepImage(images, this.#keeper.content, descriptor);
      }
    } catch (error) {
      logger.error('failed to keep the images of a build', { ref: this.record.Ref, error });
    }
  }

  #openTrace(completedAt: TimeNs, thrown: unknown): OpenTrace {
    const error = thrown === undefined ? undefined : toBuildError(thrown).message;
    const own = this.#trace.spans(this.startedAt, completedAt, error);
    return { own, recording: this.#recording, written: this.#recording.spans.length };
  }

  /** A build without its trace is better than none. */
  async #commitTrace({ own, recording, written }: OpenTrace): Promise<WireDescriptor | undefined> {
    try {
      this.#keeper.traces.send(own);
      return await commitTrace(this.#keeper.content, recording.spans.slice(0, written), own);
    } catch (failure) {
      logger.error('failed to save the trace of a build', { ref: this.record.Ref, error: failure });
      return undefined;
    }
  }

  /** In the record without details, which may be large; in a blob with them. */
  async #errorOf(thrown: unknown): Promise<Pick<BuildHistoryRecord, 'error' | 'externalError'>> {
    const status = encodeStatus(thrown);
    const error = { code: status.code, message: status.message, details: [] };
    try {
      const bytes = Status.encode(status).finish();
      return { error, externalError: await commitBlob(this.#keeper.content, ERROR_WRITE, ERROR_MEDIA_TYPE, [bytes]) };
    } catch (failure) {
      logger.error('failed to import error to build record', { error: failure });
      return { error, externalError: undefined };
    }
  }

  async discard(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#recording.stop();
    try {
      await this.#writer.discard();
    } finally {
      this.#keeper.dropped(this.record.Ref);
    }
  }
}

function resultsOf(
  results: BuildOutcome['results'] = new Map(),
  attested: ReadonlyMap<string, readonly Descriptor[]>,
): Pick<BuildHistoryRecord, 'Result' | 'Results'> {
  const platforms = [...new Set([...attested.keys(), ...results.keys()])];
  const all = platforms.map(
    (id) => [id, resultInfo([...(attested.get(id) ?? []), ...(results.get(id) ?? [])])] as const,
  );
  return {
    Result: all.find(([platform]) => platform === '')?.[1],
    Results: new Map(all.filter(([platform]) => platform !== '')),
  };
}

function resultInfo(descriptors: readonly (Descriptor | undefined)[]): BuildResultInfo {
  const Attestations: WireDescriptor[] = [];
  const Results = new Map<bigint, WireDescriptor>();
  let exporter = 0n;
  for (const descriptor of descriptors) {
    const wire = descriptor === undefined ? undefined : toWire(descriptor);
    if (wire?.mediaType === ATTESTATION_MEDIA_TYPE) {
      Attestations.push(wire);
    } else {
      if (wire !== undefined) Results.set(exporter, wire);
      exporter++;
    }
  }
  const [first] = Results.values();
  // Old clients know one result only.
  return { ResultDeprecated: first, Attestations, Results };
}

function toWire({ mediaType, digest, size, annotations }: Descriptor): WireDescriptor {
  return { mediaType, digest, size: BigInt(size), annotations: new Map(Object.entries(annotations ?? {})) };
}

/** What came from outside, and the build's own spans. */
export function commitTrace(
  content: DiskContentStore,
  received: readonly ReceivedSpan[],
  own: ResourceSpans,
): Promise<WireDescriptor> {
  return commitBlob(content, TRACE_WRITE, TRACE_MEDIA_TYPE, encodeTrace(received, own));
}

async function commitBlob(
  content: DiskContentStore,
  prefix: string,
  mediaType: string,
  pieces: Iterable<string | Uint8Array>,
): Promise<WireDescriptor> {
  const writer = await content.writer(`${prefix}${randomId()}`);
  try {
    for (const piece of pieces) await writer.write(typeof piece === 'string' ? Buffer.from(piece) : piece);
    const size = writer.offset;
    const digest = await writer.commit({ size });
    return { mediaType, digest, size: BigInt(size), annotations: new Map() };
  } finally {
    await writer.abort();
  }
}
