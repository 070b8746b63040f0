/** All vertices that jobs hold now, one for each digest. */
import { hash } from 'node:crypto';
import { canceled, invalidArgument, throwIfAborted } from '../base/index.ts';
import { ActiveVertex } from './active-vertex.ts';
import type { Holder, VertexSurroundings } from './active-vertex.ts';
import type { SharedEdge } from './edge/shared-edge.ts';
import { MergeIndex } from './edge/merge-index.ts';
import type { VertexProgress } from './progress/vertex-progress.ts';
import { resultOf } from './request.ts';
import { RunQueue } from './run-queue.ts';
import type { CachedResult, Edge, SolverOptions, Vertex } from './types.ts';

/** A job as the graph sees it. */
export interface GraphHolder extends Holder {
  readonly vertices: Set<ActiveVertex>;
  readonly progress: { follow(vertex: VertexProgress): void };
  /** Throws once the job is discarded. */
  checkOpen(): void;
}

/** For whom vertices are loaded. */
interface Purpose {
  /** Throws once nobody is left who would hold them. */
  check(): void;
  hold(vertex: ActiveVertex): void;
}

export class Graph implements VertexSurroundings {
  readonly options: SolverOptions;
  readonly queue: RunQueue;
  readonly index = new MergeIndex<SharedEdge>();
  readonly #active = new Map<string, ActiveVertex>();
  /** Vertices that nobody holds any more and whose work has not ended yet, by digest: resolves when it has. */
  readonly #ending = new Map<string, Promise<void>>();
  /** Some vertex has built something for its own work. */
  #hasNested = false;

  constructor(options: SolverOptions, queue = new RunQueue()) {
    this.options = options;
    this.queue = queue;
  }

  /** Nothing is held for anybody. */
  get isEmpty(): boolean {
    return this.#active.size === 0 && this.#ending.size === 0 && this.index.isEmpty;
  }

  /** Makes or joins the vertices up to the edge; the job holds them from then on. */
  async load(job: GraphHolder, edge: Edge): Promise<SharedEdge> {
    const purpose = { check: () => job.checkOpen(), hold: (vertex: ActiveVertex) => this.hold(job, vertex) };
    return (await this.#load(edge, purpose)).edge(edge.index);
  }

  /** See {@link JobContext.build}. */
  async buildWithin(outer: ActiveVertex, edge: Edge, signal: AbortSignal): Promise<CachedResult> {
    this.#hasNested = true;
    const inner = await this.#load(edge, {
      check: () => {
        throwIfAborted(signal);
        if (outer.jobs.size === 0) throw canceled();
      },
      hold: (vertex) => {
        outer.followed.add(vertex);
        for (const job of outer.jobs) this.hold(job as GraphHolder, vertex);
      },
    });
    if (waitsFor(inner, outer)) throw invalidArgument(`${outer.vertex.name} builds itself`);
    return resultOf(inner.edge(edge.index), edge, signal);
  }

  async #load(edge: Edge, purpose: Purpose): Promise<ActiveVertex> {
    const loaded = new Map<Vertex, ActiveVertex>();
    const stack: Vertex[] = [edge.vertex];
    for (let vertex = stack.at(-1); vertex !== undefined; vertex = stack.at(-1)) {
      await this.queue.breathe();
      purpose.check();
      const open = loaded.has(vertex) ? [] : vertex.inputs.filter((i) => !loaded.has(i.vertex));
      if (open.length > 0) {
        for (const i of open) stack.push(i.vertex);
        continue;
      }
      stack.pop();
      if (loaded.has(vertex)) continue;
      const active = this.#join(vertex, loaded);
      loaded.set(vertex, active);
      purpose.hold(active);
    }
    return loaded.get(edge.vertex) as ActiveVertex;
  }

  #join(vertex: Vertex, loaded: ReadonlyMap<Vertex, ActiveVertex>): ActiveVertex {
    // Upstream: a vertex without cache may serve one with cache, never the other way round.
    const variant = `sha256:${hash('sha256', `${vertex.digest}-ignorecache`)}`;
    let digest = vertex.digest;
    let active = this.#active.get(variant) ?? this.#active.get(digest);
    if (active !== undefined && vertex.options.ignoreCache === true && !active.ignoreCache) {
      digest = variant;
      active = undefined;
    }
    if (active === undefined) {
      const inputs = vertex.inputs.map((i) => ({ vertex: loaded.get(i.vertex) as ActiveVertex, index: i.index }));
      active = new ActiveVertex(this, vertex, digest, inputs, this.#ending.get(digest));
      this.#active.set(digest, active);
    } else {
      active.addOptions(vertex.options);
    }
    return active;
  }

  /** The job holds the vertex, all below it, and all that those were merged into. */
  hold(job: GraphHolder, start: ActiveVertex): void {
    const stack = [start];
    for (let vertex = stack.pop(); vertex !== undefined; vertex = stack.pop()) {
      if (vertex.jobs.has(job)) continue;
      vertex.forgetErrors();
      vertex.jobs.add(job);
      job.vertices.add(vertex);
      job.progress.follow(vertex.progress);
      for (const i of vertex.inputs) stack.push(i.vertex);
      for (const v of vertex.followed) stack.push(v);
    }
  }

  /** An edge of `from` was merged into one of `to`. */
  follow(from: ActiveVertex, to: ActiveVertex): void {
    from.followed.add(to);
    to.addCaches(from);
    for (const job of from.jobs) this.hold(job as GraphHolder, to);
  }

  mayFollow(from: ActiveVertex, to: ActiveVertex): boolean {
    return !this.#hasNested || !waitsFor(to, from);
  }

  async drop(job: GraphHolder): Promise<void> {
    const closing: Promise<void>[] = [];
    for (const vertex of job.vertices) {
      vertex.jobs.delete(job);
      if (vertex.jobs.size > 0) continue;
      if (this.#active.get(vertex.digest) === vertex) this.#active.delete(vertex.digest);
      closing.push(this.#end(vertex));
    }
    job.vertices.clear();
    await Promise.all(closing);
  }

  /** The same vertex for somebody else must not run beside what is still being stopped. */
  #end(vertex: ActiveVertex): Promise<void> {
    const { digest } = vertex;
    const closed = vertex.close();
    const ended = Promise.allSettled([closed, this.#ending.get(digest)]).then(() => {
      if (this.#ending.get(digest) === ended) this.#ending.delete(digest);
    });
    this.#ending.set(digest, ended);
    return closed;
  }
}

/** Whether work of `start` may have to wait for `vertex`: as its input, as what it was merged into, as what it builds. */
function waitsFor(start: ActiveVertex, vertex: ActiveVertex): boolean {
  const seen = new Set([start]);
  for (const v of seen) {
    if (v === vertex) return true;
    for (const i of v.inputs) seen.add(i.vertex);
    for (const f of v.followed) seen.add(f);
  }
  return false;
}

/** The vertices that an edge is made from, each once, inputs first. */
export function verticesOf(edge: Edge): Vertex[] {
  const out = new Set<Vertex>();
  const stack: Vertex[] = [edge.vertex];
  for (let vertex = stack.at(-1); vertex !== undefined; vertex = stack.at(-1)) {
    const open = out.has(vertex) ? [] : vertex.inputs.filter((i) => !out.has(i.vertex));
    if (open.length === 0) {
      stack.pop();
      out.add(vertex);
    }
    for (const i of open) stack.push(i.vertex);
  }
  return [...out];
}
