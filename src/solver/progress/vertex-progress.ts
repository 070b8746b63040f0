/** All that was shown of one vertex, kept once for every job that follows it, within bounds. */
import { nowNs } from '../../base/index.ts';
import type { StatusUpdate, StepProgress, TimeNs, WarningUpdate } from '../../base/index.ts';
import type { CacheMiss, ProgressGroup, VertexLog, VertexState, VertexStatus, VertexWarning } from '../types.ts';

const MAX_STATES = 64;
const MAX_STATUSES = 5000;
const MAX_WARNINGS = 1000;
const MAX_LOG_CHUNKS = 20_000;
const MAX_LOG_BYTES = 4 * 2 ** 20;
/** Unread output is gathered into pieces of this size, so that a step that writes byte by byte costs little. */
const CHUNK_BYTES = 32 * 1024;

interface Chunk {
  sequence: number;
  readonly stream: 1 | 2;
  readonly timestamp: TimeNs;
  bytes: Uint8Array;
  length: number;
}

/** Over all vertices: tells what came before what. */
let sequence = 0;

export interface Entry<T> {
  readonly sequence: number;
  readonly value: T;
}

export interface Ending {
  readonly cached: boolean;
  readonly error?: string;
  readonly misses?: readonly CacheMiss[];
}

/** Is told that there is something new. */
export interface Follower {
  changed(vertex: VertexProgress): void;
}

export class VertexProgress implements StepProgress {
  readonly digest: string;
  readonly #base: Omit<VertexState, 'cached' | 'started' | 'completed' | 'error'>;
  readonly #followers = new Set<Follower>();
  #states: Entry<VertexState>[] = [];
  readonly #statuses = new Map<string, Entry<VertexStatus>>();
  readonly #warnings: Entry<VertexWarning>[] = [];
  #logs: Chunk[] = [];
  #logBytes = 0;
  /** The newest entry that any reader has. */
  #read = 0;

  /** `shown` false: no vertex of its own, only a place for warnings. */
  constructor(
    vertex: { digest: string; name: string; inputs: readonly string[]; progressGroup?: ProgressGroup },
    shown = true,
  ) {
    this.digest = vertex.digest;
    const { digest, name, inputs, progressGroup } = vertex;
    this.#base = { digest, name, inputs, progressGroup };
    if (shown) this.#state({ ...this.#base, cached: false, error: '' });
  }

  get logBytes(): number {
    return this.#logBytes;
  }

  #changed(): void {
    for (const job of this.#followers) job.changed(this);
  }

  #state(value: VertexState): void {
    // Past the bound the second oldest goes: the announcement and the newest matter.
    if (this.#states.length >= MAX_STATES) this.#states.splice(1, 1);
    this.#states.push({ sequence: ++sequence, value });
    this.#changed();
  }

  /** The vertex starts, perhaps again; what is returned completes it. */
  start(cached: boolean, misses?: readonly CacheMiss[]): (end: Ending) => void {
    const started = nowNs();
    this.#state({ ...this.#base, cached, started, error: '', misses });
    return (end) =>
      this.#state({
        ...this.#base,
        cached: end.cached,
        started,
        completed: nowNs(),
        error: end.error ?? '',
        misses: end.misses ?? misses,
      });
  }

  status(update: StatusUpdate): void {
    if (!this.#statuses.has(update.id) && this.#statuses.size >= MAX_STATUSES) return;
    const value: VertexStatus = {
      id: update.id,
      vertex: this.digest,
      name: update.name ?? '',
      current: update.current ?? 0,
      total: update.total ?? 0,
      timestamp: nowNs(),
      started: update.started,
      completed: update.completed,
    };
    this.#statuses.set(update.id, { sequence: ++sequence, value });
    this.#changed();
  }

  log(stream: 1 | 2, data: Uint8Array): void {
    if (data.length === 0) return;
    const last = this.#logs.at(-1);
    const isOpen = last !== undefined && last.stream === stream && last.sequence > this.#read;
    if (isOpen && last.length + data.length <= CHUNK_BYTES) {
      if (last.length + data.length > last.bytes.length) {
        const grown = new Uint8Array(Math.min(CHUNK_BYTES, (last.length + data.length) * 2));
        grown.set(last.bytes.subarray(0, last.length));
        last.bytes = grown;
      }
      last.bytes.set(data, last.length);
      last.length += data.length;
      last.sequence = ++sequence;
    } else {
      const bytes = Uint8Array.from(data);
      this.#logs.push({ sequence: ++sequence, stream, timestamp: nowNs(), bytes, length: bytes.length });
    }
    this.#logBytes += data.length;
    while (this.#logBytes > MAX_LOG_BYTES || this.#logs.length > MAX_LOG_CHUNKS) {
      this.#logBytes -= this.#logs.shift()?.length ?? 0;
    }
    this.#changed();
  }

  /** Gives the memory of old output back. */
  dropLogs(): void {
    this.#logs = [];
    this.#logBytes = 0;
  }

  warn(update: WarningUpdate): void {
    if (this.#warnings.length >= MAX_WARNINGS) return;
    this.#warnings.push({ sequence: ++sequence, value: { ...update, vertex: this.digest } });
    this.#changed();
  }

  follow(job: Follower): void {
    this.#followers.add(job);
  }

  unfollow(job: Follower): void {
    this.#followers.delete(job);
  }

  /** What came after `cursor`, and the cursor for the next time. */
  since(cursor: number): {
    states: readonly Entry<VertexState>[];
    statuses: readonly VertexStatus[];
    logs: readonly VertexLog[];
    warnings: readonly VertexWarning[];
    cursor: number;
  } {
    const isNew = (e: { sequence: number }): boolean => e.sequence > cursor;
    let firstLog = this.#logs.length;
    while (firstLog > 0 && isNew(this.#logs[firstLog - 1])) firstLog--;
    this.#read = sequence;
    return {
      states: this.#states.filter(isNew),
      statuses: [...this.#statuses.values()].filter(isNew).map((e) => e.value),
      logs: this.#logs.slice(firstLog).map(({ stream, timestamp, bytes, length }) => ({
        vertex: this.digest,
        stream,
        timestamp,
        msg: bytes.subarray(0, length),
      })),
      warnings: this.#warnings.filter(isNew).map((e) => e.value),
      cursor: sequence,
    };
  }
}
