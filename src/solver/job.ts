/** One build's hold on the graph. */
import { canceled, throwIfAborted, toBuildError } from '../base/index.ts';
import type { WarningUpdate } from '../base/index.ts';
import type { ActiveVertex } from './active-vertex.ts';
import { Deferrals } from './deferrals.ts';
import { eitherSignal } from './either-signal.ts';
import type { Graph } from './graph.ts';
import { onceFor } from './once.ts';
import type { OnceValues } from './once.ts';
import { JobProgress } from './progress/job-progress.ts';
import { VertexProgress } from './progress/vertex-progress.ts';
import { resultOf } from './request.ts';
import type { CachedResult, Edge, Job, JobContext, ProgressGroup, StatusBatch, StepCounts } from './types.ts';

export class ActiveJob implements Job {
  readonly id: string;
  readonly vertices = new Set<ActiveVertex>();
  readonly progress = new JobProgress();
  readonly onceValues: OnceValues = new Map();
  readonly #graph: Graph;
  readonly #values = new Map<string, unknown>();
  readonly #sessions = new Set<string>();
  readonly #steps = new Map<string, VertexProgress>();
  readonly #deferrals = new Deferrals();
  readonly #abort = new AbortController();
  readonly #onDiscard: () => void;
  #discarding: Promise<void> | undefined;

  constructor(id: string, graph: Graph, sessions: readonly string[], onDiscard: () => void) {
    this.id = id;
    this.#graph = graph;
    this.#onDiscard = onDiscard;
    for (const s of sessions) this.#sessions.add(s);
  }

  setValue(key: string, value: unknown): void {
    this.#values.set(key, value);
  }

  get values(): ReadonlyMap<string, unknown> {
    return this.#values;
  }

  addSession(id: string): void {
    this.#sessions.add(id);
  }

  get sessions(): readonly string[] {
    return [...this.#sessions];
  }

  get isDiscarded(): boolean {
    return this.#discarding !== undefined;
  }

  checkOpen(): void {
    throwIfAborted(this.#abort.signal);
  }

  async build(edge: Edge, signal?: AbortSignal): Promise<CachedResult> {
    const either = eitherSignal(this.#abort.signal, signal);
    try {
      throwIfAborted(either.signal);
      const node = await this.#graph.load(this, edge);
      throwIfAborted(either.signal);
      return await resultOf(node, edge, either.signal);
    } finally {
      either.release();
    }
  }

  facts(edge: Edge): readonly unknown[] {
    const { digest, options } = edge.vertex;
    const held = [...this.vertices].filter((v) => v.vertex.digest === digest);
    const start = held.find((v) => v.ignoreCache === (options.ignoreCache === true)) ?? held[0];
    const seen = new Set<ActiveVertex>();
    const facts: unknown[] = [];
    const stack = start === undefined ? [] : [start];
    for (let vertex = stack.pop(); vertex !== undefined; vertex = stack.pop()) {
      if (seen.has(vertex)) continue;
      seen.add(vertex);
      const told = vertex.facts();
      if (told !== undefined) facts.push(told);
      for (const input of vertex.inputs.toReversed()) stack.push(input.vertex);
    }
    return facts;
  }

  async step<T>(
    vertex: { readonly digest: string; readonly name: string; readonly progressGroup?: ProgressGroup },
    work: (context: JobContext) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const either = eitherSignal(this.#abort.signal, signal);
    let progress = this.#steps.get(vertex.digest);
    if (progress === undefined) {
      progress = new VertexProgress({ ...vertex, inputs: [] });
      this.#steps.set(vertex.digest, progress);
      this.progress.follow(progress);
    }
    const context: JobContext = {
      signal: either.signal,
      progress,
      sessions: () => this.sessions,
      values: (key) => (this.#values.has(key) ? [this.#values.get(key)] : []),
      once: (key, make) => onceFor(() => [this], key, make, either.signal),
      defer: (release) => this.#deferrals.add(release),
      build: (edge) => this.build(edge, either.signal),
    };
    const end = progress.start(false);
    try {
      throwIfAborted(either.signal);
      const value = await work(context);
      end({ cached: false });
      return value;
    } catch (error) {
      end({ cached: false, error: toBuildError(error).message });
      throw error;
    } finally {
      either.release();
    }
  }

  warn(digest: string, warning: WarningUpdate): void {
    this.progress.warn(digest, warning);
  }

  status(signal?: AbortSignal): AsyncIterable<StatusBatch> {
    return this.progress.read(signal);
  }

  counts(): StepCounts {
    return this.progress.counts();
  }

  closeProgress(): void {
    this.progress.close();
  }

  discard(): Promise<void> {
    this.#discarding ??= (async () => {
      this.#abort.abort(canceled());
      this.progress.close();
      this.#onDiscard();
      await this.#graph.drop(this);
      await this.#deferrals.end();
      this.onceValues.clear();
    })();
    return this.#discarding;
  }
}
