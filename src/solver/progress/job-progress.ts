/** What a job shows: the vertices that it follows, read from the start by any number of readers, each at its own pace. */
import type { WarningUpdate } from '../../base/index.ts';
import type { StatusBatch, StepCounts } from '../types.ts';
import { StatusReader } from './status-reader.ts';
import { VertexProgress } from './vertex-progress.ts';

/** Output of all vertices that is kept for readers who come late; the oldest vertices give way. */
const MAX_LOG_BYTES = 32 * 2 ** 20;

export class JobProgress {
  readonly #followed = new Set<VertexProgress>();
  readonly #readers = new Set<StatusReader>();
  readonly #byDigest = new Map<string, VertexProgress>();
  #logBytes = new Map<VertexProgress, number>();
  #total = 0;
  #isClosed = false;

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get followed(): Iterable<VertexProgress> {
    return this.#followed;
  }

  follow(vertex: VertexProgress): void {
    if (this.#isClosed) return;
    this.#followed.add(vertex);
    this.#byDigest.set(vertex.digest, vertex);
    vertex.follow(this);
    this.changed(vertex);
  }

  changed(vertex: VertexProgress): void {
    this.#total += vertex.logBytes - (this.#logBytes.get(vertex) ?? 0);
    this.#logBytes.set(vertex, vertex.logBytes);
    if (this.#total > MAX_LOG_BYTES) this.#shrink(vertex);
    for (const reader of this.#readers) reader.mark(vertex);
  }

  #shrink(newest: VertexProgress): void {
    for (const [vertex, bytes] of this.#logBytes) {
      if (this.#total <= MAX_LOG_BYTES / 2) return;
      if (vertex === newest || bytes === 0) continue;
      vertex.dropLogs();
      this.#logBytes.set(vertex, 0);
      this.#total -= bytes;
    }
  }

  warn(digest: string, warning: WarningUpdate): void {
    let vertex = this.#byDigest.get(digest);
    if (vertex === undefined) {
      vertex = new VertexProgress({ digest, name: '', inputs: [] }, false);
      this.follow(vertex);
    }
    vertex.warn(warning);
  }

  async *read(signal?: AbortSignal): AsyncGenerator<StatusBatch> {
    const reader = new StatusReader(this);
    this.#readers.add(reader);
    try {
      yield* reader.batches(signal);
    } finally {
      this.#readers.delete(reader);
    }
  }

  counts(): StepCounts {
    const reader = new StatusReader(this);
    const { warnings } = reader.take();
    const states = [...reader.newest.values()];
    return {
      total: states.length,
      cached: states.filter((s) => s.cached).length,
      completed: states.filter((s) => s.completed !== undefined).length,
      warnings: warnings.length,
    };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const vertex of this.#followed) vertex.unfollow(this);
    for (const reader of this.#readers) reader.close();
  }
}
