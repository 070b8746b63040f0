/** One edge at work: keeps its state, carries out its plan, tells its waiters. */
import { canceled, nowNs, wrapError, BuildError, Code, logger } from '../../base/index.ts';
import type { StepProgress } from '../../base/index.ts';
import { KeyedResult } from '../cached-result.ts';
import { orMiss } from '../cache/cache-manager.ts';
import { makeKey, rootKey } from '../cache/key.ts';
import type { RunQueue } from '../run-queue.ts';
import type {
  CacheKey,
  CacheKeySelector,
  CacheManager,
  CacheMiss,
  CacheMap,
  CacheMapDep,
  Edge,
  Result,
  Vertex,
} from '../types.ts';
import { Level, newEdgeState } from './edge-state.ts';
import type { EdgeState } from './edge-state.ts';
import type { MergeIndex } from './merge-index.ts';
import { plan } from './plan.ts';
import type { Plan, Work } from './plan.ts';

/** The vertex of an edge: its work, shared by all its edges. */
export interface EdgeHost {
  readonly vertex: Vertex;
  readonly digest: string;
  readonly depth: number;
  readonly ignoreCache: boolean;
  readonly inputs: readonly { readonly vertex: EdgeHost; readonly index: number }[];
  readonly cache: CacheManager;
  readonly queue: RunQueue;
  readonly index: MergeIndex<EdgeNode>;
  readonly progress: StepProgress & { start(cached: boolean): (end: { cached: boolean }) => void };
  edge(index: number): EdgeNode;
  /** One of its edges was merged into one of `other`, which has to serve its jobs too. */
  follow(other: EdgeHost): void;
  cacheMap(index: number, signal: AbortSignal): Promise<{ map: CacheMap; done: boolean }>;
  content(
    index: number,
    dep: CacheMapDep,
    input: Result,
    from: EdgeHost,
    signal: AbortSignal,
  ): Promise<string | undefined>;
  /** The results stay the vertex'. `misses`: why nothing was loaded instead. */
  run(inputs: readonly Result[], misses: readonly CacheMiss[], signal: AbortSignal): Promise<readonly Result[]>;
}

/** Who waits for an edge, and for how much of it. */
export interface Waiter {
  readonly level: Level;
  wake(): void;
  /** The edge was merged into another, which the waiter waits for from now on. */
  moved(to: EdgeNode): void;
}

class DepSlot implements Waiter {
  readonly owner: EdgeNode;
  target: EdgeNode;
  level: Level = Level.NONE;

  constructor(owner: EdgeNode, target: EdgeNode) {
    this.owner = owner;
    this.target = target;
  }

  ask(level: Level): void {
    if (level === this.level) return;
    this.target.unwait(this);
    this.level = level;
    if (level !== Level.NONE) this.target.wait(this);
  }

  wake(): void {
    this.owner.schedule();
  }

  moved(to: EdgeNode): void {
    this.target = to;
    this.owner.inputMoved(this);
    this.owner.schedule();
  }
}

export class EdgeNode {
  readonly vertex: EdgeHost;
  readonly output: number;
  state: EdgeState;
  isClosed = false;
  mergedInto: EdgeNode | undefined;
  readonly #waiters = new Set<Waiter>();
  readonly #wanted = [0, 0, 0, 0];
  #slots: DepSlot[] | undefined;
  readonly #running = new Map<string, { abort: AbortController; ended: Promise<void> }>();
  readonly #indexed = new Set<string>();
  #identities = -1;
  #isQueued = false;
  #told = '';

  constructor(vertex: EdgeHost, output: number) {
    this.vertex = vertex;
    this.output = output;
    this.state = newEdgeState(vertex.ignoreCache, vertex.inputs.length);
  }

  /** Itself, or what it was merged into. */
  get current(): EdgeNode {
    let to = this.mergedInto;
    if (to === undefined) return this;
    while (to.mergedInto !== undefined) to = to.mergedInto;
    return to;
  }

  wait(waiter: Waiter): void {
    this.#waiters.add(waiter);
    this.#wanted[waiter.level]++;
    if (waiter.level > this.state.want) this.schedule();
    if (this.state.phase.kind === 'done' || this.state.phase.kind === 'failed' || this.state.level > Level.NONE) {
      waiter.wake();
    }
  }

  unwait(waiter: Waiter): void {
    if (!this.#waiters.delete(waiter)) return;
    if (--this.#wanted[waiter.level] === 0) this.schedule();
  }

  schedule(): void {
    if (this.#isQueued || this.isClosed || this.mergedInto !== undefined) return;
    this.#isQueued = true;
    this.vertex.queue.push(() => {
      this.#isQueued = false;
      this.#turn();
    });
  }

  #turn(): void {
    if (this.isClosed || this.mergedInto !== undefined) return;
    const s = this.state;
    s.want = [Level.COMPLETE, Level.SLOW, Level.FAST].find((l) => this.#wanted[l] > 0) ?? Level.NONE;
    if (s.want !== Level.NONE) this.#slots ??= this.vertex.inputs.map((i) => new DepSlot(this, i.vertex.edge(i.index)));
    this.#look();
    if (this.#tryMerge()) return;
    const p = plan(s);
    s.level = p.level;
    s.hopeless = p.hopeless;
    if (p.failure !== undefined) s.phase = { kind: 'failed', error: p.failure.error };
    this.#carryOut(p);
    this.#tell();
  }

  /** Takes in what the inputs have told since the last turn. */
  #look(): void {
    for (const [i, slot] of (this.#slots ?? []).entries()) {
      // Only those who wait are told of a merge.
      if (slot.target.mergedInto !== undefined) slot.moved(slot.target.current);
      const target = slot.target.state;
      const dep = this.state.deps[i];
      dep.error = target.phase.kind === 'failed' ? target.phase.error : undefined;
      dep.level = target.phase.kind === 'done' ? Level.COMPLETE : target.level;
      dep.isFresh = target.phase.kind === 'done' && target.phase.result.record === undefined;
      if (dep.level >= Level.FAST && !this.state.ignoreCache) dep.keys = target.keys.length;
    }
  }

  #tell(): void {
    const { phase, level, keys } = this.state;
    const news = `${phase.kind === 'loading' ? 'open' : phase.kind} ${level} ${keys.length}`;
    if (news === this.#told) return;
    this.#told = news;
    for (const waiter of Array.from(this.#waiters)) waiter.wake();
  }

  #carryOut(p: Plan): void {
    const named = new Map(p.work.map((w) => [nameOf(w), w]));
    for (const [name, job] of this.#running) if (!named.has(name)) job.abort.abort(canceled());
    for (const [name, work] of named) {
      // One that is being aborted must end first; its end schedules the next turn.
      if (this.#running.has(name)) continue;
      if (work.kind === 'load') this.state.phase = { kind: 'loading', record: work.record };
      const abort = new AbortController();
      const job = { abort, ended: Promise.resolve() };
      this.#running.set(name, job);
      job.ended = this.#do(work, abort.signal)
        .catch((error: unknown) => {
          if (abort.signal.aborted || this.isClosed || this.mergedInto !== undefined) return;
          this.state.phase = { kind: 'failed', error };
        })
        .finally(() => {
          this.#running.delete(name);
          this.schedule();
        });
    }
    for (const [i, slot] of (this.#slots ?? []).entries()) slot.ask(p.deps[i]);
  }

  #do(work: Work, signal: AbortSignal): Promise<void> {
    switch (work.kind) {
      case 'map':
        return this.#doMap(work.index, signal);
      case 'probe':
        return work.dep === undefined ? this.#doRoot() : this.#doProbe(work.dep);
      case 'search':
        return this.#doSearch();
      case 'content':
        return this.#doContent(work.dep, signal);
      case 'load':
        return this.#doLoad(work);
      case 'run':
        return this.#doRun(work, signal);
    }
  }

  async #doMap(index: number, signal: AbortSignal): Promise<void> {
    const { map, done } = await this.vertex.cacheMap(index, signal);
    const s = this.state;
    if (s.maps.length !== index) return;
    s.maps.push(map);
    s.mapsDone = done || s.deps.length > 0;
    for (const [i, dep] of s.deps.entries()) {
      const { computeDigest, preprocess } = map.deps[i] ?? {};
      if (computeDigest !== undefined || preprocess !== undefined) {
        dep.content = { kind: 'needed', digests: computeDigest !== undefined };
      }
    }
  }

  async #doRoot(): Promise<void> {
    const s = this.state;
    const count = s.maps.length;
    for (const map of s.maps.slice(s.rootsProbed)) {
      const found = await orMiss('query', () => this.vertex.cache.query([], 0, map.digest, this.output));
      for (const key of found) this.#addKey(makeKey({ ...key, ...this.#origin() }));
    }
    s.rootsProbed = count;
  }

  #origin(): { vertex: string; exportCache?: boolean } {
    return { vertex: this.vertex.vertex.digest, exportCache: this.vertex.vertex.options.exportCache };
  }

  #addKey(key: CacheKey): void {
    if (!this.state.keys.some((k) => k.id === key.id)) this.state.keys.push(key);
  }

  async #doProbe(i: number): Promise<void> {
    const s = this.state;
    const dep = s.deps[i];
    const slot = this.#slotAt(i);
    const { target } = slot;
    const until = dep.keys;
    const selector = s.maps[0].deps[i]?.selector;
    const asked: CacheKeySelector[] = target.state.keys.slice(dep.probed, until).map((key) => ({ key, selector }));
    const content = dep.content.kind === 'known' ? dep.content.key : undefined;
    if (content !== undefined) asked.push({ key: content });
    const { digest } = s.maps[0];
    const found =
      asked.length === 0 ? [] : await orMiss('query', () => this.vertex.cache.query(asked, i, digest, this.output));
    // The input was merged into another meanwhile: its keys are counted anew.
    if (slot.target === target) dep.probed = until;
    if (content !== undefined) dep.contentProbed = true;
    for (const key of found) {
      if (dep.matches.has(key.id)) continue;
      dep.matches.set(key.id, key);
      if (!s.deps.every((d) => d.matches.has(key.id))) continue;
      this.#addKey(makeKey({ ...key, deps: s.deps.map((_, j) => this.#inputKeys(j)), ...this.#origin() }));
    }
  }

  #slotAt(i: number): DepSlot {
    const slot = this.#slots?.[i];
    if (slot === undefined) throw new Error(`input ${i} of ${this.vertex.vertex.name} was never asked for`);
    return slot;
  }

  /** All keys that stand for the input, with the selector where it counts. */
  #inputKeys(i: number): CacheKeySelector[] {
    const selector = this.state.maps[0]?.deps[i]?.selector;
    const keys: CacheKeySelector[] = this.#slotAt(i)
      .target.identityKeys()
      .map((key) => ({ key, selector }));
    const { content } = this.state.deps[i];
    if (content.kind === 'known' && content.key !== undefined) keys.push({ key: content.key });
    return keys;
  }

  /** The keys by which this edge is the same as another one of this process. */
  identityKeys(): readonly CacheKey[] {
    const s = this.state;
    if (s.phase.kind === 'done') return s.phase.result.cacheKeys;
    if (s.deps.length > 0 || s.ignoreCache) return s.keys;
    return s.maps.map((map) => this.#rootKey(map));
  }

  #rootKey(map: CacheMap): CacheKey {
    return rootKey(map.digest, this.output, {
      digest: this.vertex.vertex.digest,
      exportCache: this.#origin().exportCache,
    });
  }

  async #doSearch(): Promise<void> {
    const s = this.state;
    const keys = s.keys.slice(s.keysSearched);
    for (const key of keys) {
      const found = await orMiss('records', () => this.vertex.cache.records(key));
      s.keysSearched++;
      s.records.push(...found.filter((r) => !s.records.some((known) => known.id === r.id)));
    }
  }

  async #doContent(i: number, signal: AbortSignal): Promise<void> {
    const { target } = this.#slotAt(i);
    const { phase } = target.state;
    if (phase.kind !== 'done') return;
    let digest: string | undefined;
    try {
      digest = await this.vertex.content(i, this.state.maps[0].deps[i], phase.result, target.vertex, signal);
    } catch (error) {
      throw wrapError(error, 'failed to compute cache key');
    }
    if (signal.aborted) return;
    if (digest === undefined) {
      this.state.deps[i].content = { kind: 'known' };
      return;
    }
    const known = await orMiss('query', () => this.vertex.cache.query([], 0, digest, 0));
    this.state.deps[i].content = { kind: 'known', key: rootKey(digest, 0), inCache: known.length > 0 };
  }

  async #doLoad(work: Work & { kind: 'load' }): Promise<void> {
    const { record } = work;
    const s = this.state;
    const end = this.vertex.progress.start(true);
    let result: Result;
    try {
      result = await this.vertex.cache.load(record);
    } catch (error) {
      end({ cached: false });
      logger.debug('cache record could not be loaded', { record: record.id, error });
      s.records = s.records.filter((r) => r !== record);
      s.hasLost = true;
      if (s.phase.kind === 'loading') s.phase = { kind: 'open' };
      return;
    }
    end({ cached: true });
    if (s.deps.some((d) => d.content.kind === 'known' && d.content.key !== undefined)) {
      await this.vertex.cache.link(record.key).catch((error: unknown) => logger.warn('cache link failed', { error }));
    }
    await this.#finish(new KeyedResult(result, this.#edge(), [record.key], record));
  }

  #edge(): Edge {
    return { vertex: this.vertex.vertex, index: this.output };
  }

  async #doRun(work: Work & { kind: 'run' }, signal: AbortSignal): Promise<void> {
    const inputs = (this.#slots ?? []).map((slot) => {
      const { phase } = slot.target.state;
      if (phase.kind !== 'done') throw new Error(`input of ${this.vertex.vertex.name} is not complete`);
      return phase.result;
    });
    const outputs = await this.vertex.run(inputs, work.misses, signal);
    if (this.output >= outputs.length) {
      throw new BuildError(
        Code.InvalidArgument,
        `invalid response from exec need ${this.output} index but ${outputs.length} results received`,
      );
    }
    const keys: CacheKey[] = [];
    const createdAt = nowNs();
    const own = outputs[this.output].fork();
    try {
      for (const map of this.state.maps) keys.push(await this.#save(this.#keyOf(map), own, createdAt));
    } catch (error) {
      await own.release();
      throw error;
    }
    await this.#finish(new KeyedResult(own, this.#edge(), keys));
  }

  #keyOf(map: CacheMap): CacheKey {
    if (this.state.deps.length === 0) return this.#rootKey(map);
    return makeKey({
      id: `${this.vertex.digest}@${this.output}`,
      digest: map.digest,
      output: this.output,
      deps: this.state.deps.map((_, i) => this.#inputKeys(i)),
      ...this.#origin(),
    });
  }

  /** A result that cannot be saved (a full disk) is still a result. */
  async #save(key: CacheKey, result: Result, createdAt: bigint): Promise<CacheKey> {
    try {
      return await this.vertex.cache.save(key, result, createdAt);
    } catch (error) {
      logger.warn('result could not be saved in the cache', { error });
      return key;
    }
  }

  async #finish(result: KeyedResult): Promise<void> {
    if (this.isClosed || this.mergedInto !== undefined || this.state.phase.kind === 'done') {
      await result.release();
      if (this.isClosed) throw canceled();
      return;
    }
    this.state.phase = { kind: 'done', result };
    // What was made in spite of an existing cache must not lead consumers to results of the old one.
    if (!this.state.ignoreCache) for (const key of result.cacheKeys) this.#addKey(key);
    this.state.level = Level.SLOW;
  }

  /** Merges this edge into one of equal content, if there is one. True when it has gone. */
  #tryMerge(): boolean {
    const s = this.state;
    if (s.phase.kind !== 'open' || s.maps.length === 0 || this.#running.has('run')) return false;
    const identities = this.#identityTexts();
    if (identities === undefined) return false;
    const count = identities.reduce((n, texts) => n + texts.length, 0);
    if (count === this.#identities) return false;
    this.#identities = count;
    const { index } = this.vertex;
    const other = index.match(this, identities);
    if (other !== undefined && this.#mayMerge(other)) {
      this.#mergeInto(other);
      return true;
    }
    for (const text of identities.flat()) {
      if (this.#indexed.has(text)) continue;
      this.#indexed.add(text);
      index.add(this, text);
    }
    return false;
  }

  #identityTexts(): string[][] | undefined {
    const s = this.state;
    if (s.deps.length === 0) return [s.maps.map((m) => `${m.digest}@${this.output}`)];
    if (this.#slots === undefined) return undefined;
    const texts = s.deps.map((_, i) =>
      this.#inputKeys(i).map(
        (k) => `${s.maps[0].digest}@${this.output}#${i}/${s.deps.length} ${k.selector ?? ''} ${k.key.id}`,
      ),
    );
    return texts.some((t) => t.length === 0) ? undefined : texts;
  }

  /**
   * Inputs are always less deep than their consumers; an edge that merges only into one that is not deeper keeps that so,
   * which is why merging never makes a circle.
   */
  #mayMerge(other: EdgeNode): boolean {
    if (this.state.ignoreCache && !other.state.ignoreCache) return false;
    if (other.state.phase.kind === 'failed' || other.mergedInto !== undefined) return false;
    return other.vertex !== this.vertex && other.vertex.depth <= this.vertex.depth;
  }

  #mergeInto(other: EdgeNode): void {
    this.mergedInto = other;
    this.#stop();
    this.vertex.follow(other.vertex);
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) {
      waiter.moved(other);
      other.wait(waiter);
    }
  }

  #stop(): void {
    for (const job of this.#running.values()) job.abort.abort(canceled());
    for (const slot of this.#slots ?? []) slot.ask(Level.NONE);
    this.vertex.index.remove(this, this.#indexed);
    this.#indexed.clear();
  }

  /** Lets a job that comes later try again what failed for others. */
  forgetError(): void {
    if (this.state.phase.kind !== 'failed') return;
    this.state = newEdgeState(this.vertex.ignoreCache, this.vertex.inputs.length);
    this.#identities = -1;
    this.#told = '';
    this.schedule();
  }

  /** An input's edge became another one: its keys are asked about anew; what they led to stays true. */
  inputMoved(slot: DepSlot): void {
    const dep = this.state.deps[this.#slots?.indexOf(slot) ?? -1];
    if (dep === undefined) return;
    dep.keys = 0;
    dep.probed = 0;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.#stop();
    await Promise.all([...this.#running.values()].map((job) => job.ended));
    const { phase } = this.state;
    this.state.phase = { kind: 'failed', error: canceled() };
    for (const waiter of Array.from(this.#waiters)) waiter.wake();
    if (phase.kind === 'done') await phase.result.release();
  }
}

function nameOf(work: Work): string {
  switch (work.kind) {
    case 'map':
      return `map ${work.index}`;
    case 'probe':
      return `probe ${work.dep ?? ''}`;
    case 'content':
      return `content ${work.dep}`;
    case 'load':
      return `load ${work.record.id}`;
    default:
      return work.kind;
  }
}
