import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { BuildError, Code, invalidArgument, logger, Mutex, notFound, nowNs } from '../../base/index.ts';
import { openContentStore } from '../../content/index.ts';
import type { DiskContentStore } from '../../content/index.ts';
import { openDatabase } from '../../metadata/index.ts';
import type { Database } from '../../metadata/index.ts';
import type { Digest } from '../../oci/types.ts';
import { BuildHistoryEventType, BuildHistoryRecord } from '../../proto/control.pb.ts';
import type {
  BuildHistoryEvent,
  BuildHistoryRequest,
  StatusResponse,
  UpdateBuildHistoryRequest,
} from '../../proto/control.pb.ts';
import type { ResourceSpans } from '../../proto/otlp.pb.ts';
import { TraceCollector } from '../../trace/index.ts';
import type { ReceivedSpan } from '../../trace/index.ts';
import { BuildInProgress, commitTrace, ERROR_WRITE, TRACE_WRITE } from './active-record.ts';
import type { ActiveRecord, BuildFacts, RecordKeeper } from './active-record.ts';
import { EventQueue } from './event-queue.ts';
import { IMAGE_WRITE, keptWith } from './kept-images.ts';
import { recordFilter } from './record-filter.ts';
import { LateSpans } from './late-spans.ts';
import type { OpenTrace } from './late-spans.ts';
import { RecordTable } from './record-table.ts';
import type { RecordSummary } from './record-table.ts';
import { LOG_WRITE, replayStatusLog } from './status-log.ts';
import { UnwrittenRecords } from './unwritten-records.ts';
import type { WriteRecord } from './unwritten-records.ts';

const SWEEP_MS = 120_000;
/** From the start, which it would slow down, to the first sweep. */
const FIRST_SWEEP_MS = 2000;
/** Between the end of a build that made the history too long and the sweep: builds often end together. */
const SOON_MS = 1000;

export interface HistoryOptions {
  readonly root: string;
  readonly maxEntries: number;
  readonly maxAgeNs: bigint;
  /** Where spans arrive that belong to the builds, and where the builds' own go. */
  readonly traces?: TraceCollector;
}

export class History {
  /** Blobs that records name. What is written here before the build ends stays until its record does. */
  readonly content: DiskContentStore;
  readonly #db: Database;
  readonly #options: HistoryOptions;
  readonly #table: RecordTable;
  readonly #active = new Map<string, BuildInProgress>();
  readonly #listeners = new Set<EventQueue>();
  /** How many listen to one ref only. */
  readonly #watched = new Map<string, number>();
  /** Deleted as soon as nobody watches them. */
  readonly #doomed = new Set<string>();
  readonly #blobs = new Mutex();
  readonly #timer: NodeJS.Timeout;
  #soon: NodeJS.Timeout | undefined;
  readonly #keeper: RecordKeeper;
  readonly #unwritten = new UnwrittenRecords(() => [...this.#active.values()].some((build) => build.isRunning));
  readonly #late = new LateSpans((ref, received, own) => this.#rewriteTrace(ref, received, own));
  #closed: Promise<void> | undefined;

  constructor(db: Database, content: DiskContentStore, options: HistoryOptions) {
    this.#db = db;
    this.content = content;
    this.#options = options;
    this.#table = new RecordTable(db, (digest) => content.find(digest as Digest) !== undefined);
    this.#keeper = {
      content,
      traces: options.traces ?? new TraceCollector(),
      committing: (work) => this.#blobs.run(work),
      later: (ref, write) => this.#later(ref, write),
      completed: (record, trace) => this.#complete(record, trace),
      dropped: (ref) => this.#drop(ref),
    };
    this.#timer = setInterval(() => this.#sweepAside(), SWEEP_MS).unref();
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      this.#sweepAside();
    }, FIRST_SWEEP_MS).unref();
  }

  begin(facts: BuildFacts): ActiveRecord {
    this.#mustBeOpen();
    if (this.#active.has(facts.ref)) {
      throw new BuildError(Code.AlreadyExists, `build ${facts.ref} is in the history as running already`);
    }
    const build = new BuildInProgress(facts, this.#keeper);
    this.#active.set(facts.ref, build);
    this.#send({ type: BuildHistoryEventType.STARTED, record: build.record });
    return build;
  }

  /** The blobs of a record are safe from sweeps as long as its build is active. */
  async #later(ref: string, write: WriteRecord): Promise<void> {
    const exclusive = (): Promise<void> => this.#blobs.run(write);
    await (this.#closed === undefined ? this.#unwritten.add(ref, exclusive) : exclusive());
  }

  /** Builds ended whose records are not written. */
  get #owesRecords(): boolean {
    return [...this.#active.values()].some((build) => !build.isRunning);
  }

  /** Resolves when what is known of builds that ended, or of that one, can be read. */
  async settle(ref = ''): Promise<void> {
    await this.#unwritten.settle(ref === '' ? undefined : ref);
  }

  #complete(record: BuildHistoryRecord, trace: OpenTrace): void {
    this.#table.put(record);
    this.#late.await(record.Ref, trace);
    this.#active.delete(record.Ref);
    this.#doomed.delete(record.Ref);
    this.#send({ type: BuildHistoryEventType.COMPLETE, record });
    this.#sweepSoon();
  }

  /** The trace grew after the build's end. */
  async #rewriteTrace(ref: string, received: readonly ReceivedSpan[], own: ResourceSpans): Promise<void> {
    await this.#blobs.run(async () => {
      // Closed, or deleted, meanwhile.
      if (this.#closed !== undefined || !this.#table.has(ref)) return;
      const trace = await commitTrace(this.content, received, own);
      const before = this.#table.find(ref);
      if (before === undefined) return;
      const record = { ...before, trace, Generation: before.Generation + 1 };
      this.#table.put(record);
      this.#send({ type: BuildHistoryEventType.COMPLETE, record });
    });
  }

  #drop(ref: string): void {
    this.#active.delete(ref);
    this.#sendDeleted(ref);
    this.#unwritten.idle();
  }

  #send(event: BuildHistoryEvent): void {
    for (const listener of this.#listeners) listener.push(event);
  }

  #sendDeleted(ref: string): void {
    this.#send({ type: BuildHistoryEventType.DELETED, record: BuildHistoryRecord.fromPartial({ Ref: ref }) });
  }

  /** Running builds, then those that ended, then what happens until `signal` aborts. */
  async *listen(request: BuildHistoryRequest, signal?: AbortSignal): AsyncGenerator<BuildHistoryEvent> {
    this.#mustBeOpen();
    const { Ref: ref } = request;
    await this.settle(ref);
    this.#mustBeOpen();
    if (ref !== '' && this.#doomed.has(ref)) throw notFound(`ref ${ref} is deleted: file does not exist`);
    // Taken before anything is sent: what comes later arrives in the queue.
    const running = [...this.#active.values()].filter(({ record }) => ref === '' || record.Ref === ref);
    const stored = request.ActiveOnly ? [] : this.#selectStored(request);
    const queue = new EventQueue();
    const onAbort = (): void => queue.end();
    this.#listeners.add(queue);
    if (ref !== '') this.#watched.set(ref, (this.#watched.get(ref) ?? 0) + 1);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      for (const { record } of running) {
        if (signal?.aborted) return;
        yield { type: BuildHistoryEventType.STARTED, record };
      }
      for await (const record of stored) {
        if (signal?.aborted) return;
        yield { type: BuildHistoryEventType.COMPLETE, record };
      }
      if (request.EarlyExit || signal?.aborted) return;
      for await (const event of queue.drain()) {
        if (signal?.aborted) return;
        if (ref === '' || event.record?.Ref === ref) yield event;
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#listeners.delete(queue);
      if (ref !== '') this.#unwatch(ref);
    }
  }

  #unwatch(ref: string): void {
    const left = (this.#watched.get(ref) ?? 1) - 1;
    if (left > 0) {
      this.#watched.set(ref, left);
      return;
    }
    this.#watched.delete(ref);
    if (!this.#doomed.has(ref) || this.#closed !== undefined) return;
    try {
      this.#delete(ref);
    } catch (error) {
      logger.error(`failed to delete build record ${ref}`, { error });
      return;
    }
    this.#sweepAside();
  }

  /** Checks the request at once and reads record by record: all of them together may be large. */
  #selectStored({ Ref, Filter, Limit }: BuildHistoryRequest): AsyncGenerator<BuildHistoryRecord> {
    const filter = recordFilter(Filter);
    if (Limit < 0) throw invalidArgument(`invalid limit ${Limit}`);
    const candidates = this.#table
      .summaries()
      .filter(({ ref }) => (Ref === '' || ref === Ref) && !this.#doomed.has(ref))
      .toSorted(Limit === 0 ? (a, b) => (a.ref < b.ref ? -1 : 1) : (a, b) => newestFirst(a.createdAt, b.createdAt));
    const table = this.#table;
    return (async function* () {
      let found = 0;
      let read = 0;
      for (const { ref } of candidates) {
        if (++read % 64 === 0) await setImmediate();
        const record = table.find(ref);
        if (record === undefined || !filter(record)) continue;
        yield record;
        if (++found === Limit) return;
      }
    })();
  }

  /** Pins, unpins or deletes; or finalizes: a record is stored whole, but for spans that clients send afterwards. */
  async update(request: UpdateBuildHistoryRequest): Promise<void> {
    this.#mustBeOpen();
    const { Ref: ref } = request;
    await this.settle(ref);
    this.#mustBeOpen();
    if (request.Delete) {
      if (!this.#table.has(ref)) throw unknownRef(ref);
      if (!this.#delete(ref)) return;
      await this.settle();
      await this.#blobs.run(() => this.#collect());
      return;
    }
    if (request.Finalize) return this.#late.end(ref);
    const before = this.#table.find(ref);
    if (before === undefined) throw unknownRef(ref);
    const record = { ...before, pinned: request.Pinned, Generation: before.Generation + 1 };
    this.#table.put(record);
    this.#send({ type: BuildHistoryEventType.COMPLETE, record });
  }

  /** False: later, when nobody watches it any more. */
  #delete(ref: string): boolean {
    if (this.#watched.has(ref)) {
      this.#doomed.add(ref);
      return false;
    }
    this.#table.delete(ref);
    this.#doomed.delete(ref);
    this.#sendDeleted(ref);
    return true;
  }

  /** The log of a build that ended, again; undefined when there is no such build. */
  async statusOf(ref: string): Promise<AsyncIterable<StatusResponse> | undefined> {
    this.#mustBeOpen();
    await this.settle(ref);
    this.#mustBeOpen();
    const record = this.#table.find(ref);
    if (record === undefined) return undefined;
    const { content } = this;
    return (async function* () {
      if (record.logs === undefined) return;
      const { digest, size } = record.logs;
      yield* replayStatusLog(await content.reader({ digest: digest as Digest, size: Number(size) }));
    })();
  }

  /** Deletes what is both beyond the newest and too old; pinned records do not count. */
  async sweep(): Promise<void> {
    this.#mustBeOpen();
    await this.settle();
    await this.#blobs.run(async () => {
      if (this.#closed !== undefined) return;
      for (const { ref } of this.#expired()) this.#delete(ref);
      await this.#collect();
    });
  }

  #expired(): RecordSummary[] {
    const limit = nowNs() - this.#options.maxAgeNs;
    return this.#table
      .summaries()
      .filter(({ pinned }) => !pinned)
      .toSorted((a, b) => newestFirst(a.completedAt, b.completedAt))
      .slice(Math.max(0, this.#options.maxEntries))
      .filter(({ completedAt }) => completedAt < limit);
  }

  /**
   * Removes blobs that no record names, and gives the room of deleted records back. A blob that is younger than a running
   * build may be that build's, and one that somebody writes now may be named soon, as may any that was there while a build
   * ended whose record is not written yet: a later sweep sees to those.
   */
  async #collect(): Promise<void> {
    if (this.#owesRecords) return;
    const named = this.#namedBlobs();
    for await (const { digest } of this.content.list()) {
      if (this.#closed !== undefined || this.#isWrittenByOthers()) return;
      const createdAt = this.content.find(digest)?.createdAt;
      if (named.has(digest) || createdAt === undefined) continue;
      if ([...this.#active.values()].some((build) => build.startedAt <= createdAt)) continue;
      await this.content.delete(digest);
    }
    await this.#db.compact();
  }

  /** Digests of what records name and of what is kept with those. */
  #namedBlobs(): Set<string> {
    const named = new Set(this.#table.summaries().flatMap(({ blobs }) => blobs));
    // Those that are added on the way come by, too.
    for (const digest of named) {
      const blob = this.content.find(digest as Digest);
      if (blob !== undefined) for (const child of keptWith(blob)) named.add(child);
    }
    return named;
  }

  /** The writes of records exclude collecting when they commit. */
  #isWrittenByOthers(): boolean {
    const own = [LOG_WRITE, ERROR_WRITE, TRACE_WRITE, IMAGE_WRITE];
    return this.content.openWrites.some((name) => !own.some((prefix) => name.startsWith(prefix)));
  }

  /** What a build has pushed beyond the limits need not wait for the next round. */
  #sweepSoon(): void {
    if (this.#soon !== undefined || this.#closed !== undefined) return;
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      if (this.#expired().length > 0) this.#sweepAside();
    }, SOON_MS).unref();
  }

  #sweepAside(): void {
    this.sweep().catch((error: unknown) => logger.error('failed to clean the build history', { error }));
  }

  /** Ends all listeners. Builds that are running leave no record. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    this.#late.close();
    try {
      await Promise.all(Array.from(this.#active.values(), (build) => build.discard()));
    } finally {
      while (this.#owesRecords) {
        await this.#unwritten.settle();
        // One that is being finished comes next.
        await setImmediate();
      }
      for (const listener of this.#listeners) listener.end();
      // A sweep still writes.
      await this.#blobs.run(() => this.#db.close());
    }
  }

  #mustBeOpen(): void {
    if (this.#closed !== undefined) throw new BuildError(Code.Unavailable, 'build history is closed');
  }
}

function newestFirst(a: bigint, b: bigint): number {
  return a < b ? 1 : a > b ? -1 : 0;
}

function unknownRef(ref: string): BuildError {
  return notFound(`failed to retrieve ref ${ref}: file does not exist`);
}

/** The history in `<root>/history.db` and `<root>/history-content`. Puts in order what a killed predecessor left. */
export function openHistory(options: HistoryOptions): History {
  const db = openDatabase(join(options.root, 'history.db'));
  try {
    // Every build waits for its record: a log that a power loss takes is not worth six waits for the disk.
    const content = openContentStore(join(options.root, 'history-content'), db, { durable: false });
    return new History(db, content, options);
  } catch (error) {
    db.close().catch((failure: unknown) => logger.error('failed to close the build history', { error: failure }));
    throw error;
  }
}
