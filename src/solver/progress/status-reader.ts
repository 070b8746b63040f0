/** One reader of a job's status. It holds no backlog: only how far it has read of each vertex. */
import { abortable, Deferred, nowNs, throwIfAborted } from '../../base/index.ts';
import type { StatusBatch, VertexLog, VertexState, VertexStatus, VertexWarning } from '../types.ts';
import type { Entry, VertexProgress } from './vertex-progress.ts';

/** Between two batches: what happens meanwhile travels together. */
const PAUSE_MS = 10;
const MAX_LOG_BYTES = 2 ** 20;

export interface Followed {
  readonly followed: Iterable<VertexProgress>;
  /** Nothing more will be told. */
  readonly isClosed: boolean;
}

export class StatusReader {
  /** The last state told of each vertex. */
  readonly newest = new Map<string, VertexState>();
  /** Once cached or below a cached one: not reported as cancelled at the end. */
  readonly #wasCached = new Set<string>();
  readonly #cursors = new Map<VertexProgress, number>();
  readonly #dirty: Set<VertexProgress>;
  readonly #job: Followed;
  #news = new Deferred();
  readonly #end = new Deferred();

  constructor(job: Followed) {
    this.#job = job;
    this.#dirty = new Set(job.followed);
  }

  mark(vertex: VertexProgress): void {
    this.#dirty.add(vertex);
    this.#news.resolve();
  }

  /** The job is closed: what is left is told, then the reader ends. */
  close(): void {
    this.#end.resolve();
    this.#news.resolve();
  }

  async *batches(signal?: AbortSignal): AsyncGenerator<StatusBatch> {
    for (;;) {
      throwIfAborted(signal);
      this.#news = new Deferred();
      const last = this.#job.isClosed;
      const batch = this.take();
      yield* split(last ? { ...batch, vertexes: [...batch.vertexes, ...this.#cancelOpen()] } : batch);
      if (last) return;
      if (!this.#job.isClosed) await abortable(this.#news.promise, signal);
      if (!this.#job.isClosed) await this.#pause(signal);
    }
  }

  /** The end is told at once. */
  async #pause(signal: AbortSignal | undefined): Promise<void> {
    const over = new Deferred();
    const timer = setTimeout(() => over.resolve(), PAUSE_MS);
    try {
      await abortable(Promise.race([over.promise, this.#end.promise]), signal);
    } finally {
      clearTimeout(timer);
    }
  }

  take(): StatusBatch {
    const states: Entry<VertexState>[] = [];
    const statuses: VertexStatus[] = [];
    const logs: VertexLog[] = [];
    const warnings: VertexWarning[] = [];
    for (const vertex of this.#dirty) {
      const news = vertex.since(this.#cursors.get(vertex) ?? 0);
      this.#cursors.set(vertex, news.cursor);
      for (const s of news.states) states.push(s);
      for (const s of news.statuses) statuses.push(s);
      for (const l of news.logs) logs.push(l);
      for (const w of news.warnings) warnings.push(w);
    }
    this.#dirty.clear();
    const vertexes = states
      .toSorted((a, b) => a.sequence - b.sequence)
      .flatMap((s) => this.#tell(s.value))
      .toSorted((a, b) => compare(a.started ?? 0n, b.started ?? 0n));
    // Of starts that overlap the later one is told later, whichever ended first.
    for (const state of vertexes) this.newest.set(state.digest, state);
    return {
      vertexes,
      statuses: statuses.toSorted((a, b) => compare(a.timestamp, b.timestamp)),
      logs: logs.toSorted((a, b) => compare(a.timestamp, b.timestamp)),
      warnings,
    };
  }

  /** A vertex that starts tells that inputs which nobody had to run are there: upstream shows them as cached. */
  #tell(state: VertexState): VertexState[] {
    const out: VertexState[] = [];
    this.newest.set(state.digest, state);
    const stack = state.started === undefined ? [] : [...state.inputs];
    for (let digest = stack.pop(); digest !== undefined; digest = stack.pop()) {
      const input = this.newest.get(digest);
      if (input === undefined || input.cached || input.completed !== undefined) continue;
      const told: VertexState = {
        ...input,
        cached: true,
        skipped: true,
        started: state.started,
        completed: state.started,
      };
      this.newest.set(digest, told);
      out.push(told);
      for (const i of input.inputs) stack.push(i);
    }
    if (state.cached) this.#markCached(state.digest);
    out.push(state);
    return out;
  }

  #markCached(start: string): void {
    const stack = [start];
    for (let digest = stack.pop(); digest !== undefined; digest = stack.pop()) {
      if (this.#wasCached.has(digest)) continue;
      this.#wasCached.add(digest);
      for (const i of this.newest.get(digest)?.inputs ?? []) stack.push(i);
    }
  }

  #cancelOpen(): VertexState[] {
    const open = [...this.newest.values()].filter((v) => v.started !== undefined && v.completed === undefined);
    const completed = nowNs();
    return open.map((v) => ({
      ...v,
      completed,
      error: this.#wasCached.has(v.digest) ? '' : 'context canceled',
    }));
  }
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function* split(batch: StatusBatch): Generator<StatusBatch> {
  const { vertexes, statuses, logs, warnings } = batch;
  if (vertexes.length + statuses.length + logs.length + warnings.length === 0) return;
  let from = 0;
  let isFirst = true;
  do {
    let to = from;
    for (let bytes = 0; to < logs.length && (to === from || bytes + logs[to].msg.length <= MAX_LOG_BYTES); to++) {
      bytes += logs[to].msg.length;
    }
    const part = logs.slice(from, to);
    yield isFirst
      ? { vertexes, statuses, logs: part, warnings }
      : { vertexes: [], statuses: [], logs: part, warnings: [] };
    isFirst = false;
    from = to;
  } while (from < logs.length);
}
