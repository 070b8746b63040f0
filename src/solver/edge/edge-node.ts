/** One edge at work: keeps its state, carries out its plan, tells its waiters. */
import { canceled, nowNs, BuildError, Code, logger } from '../../base/index.ts';
import { KeyedResult } from '../cached-result.ts';
import type { CacheKey, CacheMap, CacheMiss, CacheRecord, Edge, Result } from '../types.ts';
import { Audience } from './audience.ts';
import { EdgeInput } from './edge-input.ts';
import { identityKeys, identityTexts, resultKey } from './edge-keys.ts';
import { Level, newEdgeState } from './edge-state.ts';
import type { EdgeState } from './edge-state.ts';
import { addKey, probeInput, probeRoot, readContent, searchRecords } from './lookup.ts';
import { plan } from './plan.ts';
import type { Plan, Work } from './plan.ts';
import type { EdgeHost, SharedEdge, Waiter } from './shared-edge.ts';
import { Tasks } from './tasks.ts';

export class EdgeNode implements SharedEdge {
  readonly vertex: EdgeHost;
  readonly output: number;
  state: EdgeState;
  inputs: EdgeInput[] | undefined;
  isClosed = false;
  mergedInto: SharedEdge | undefined;
  readonly #audience = new Audience();
  readonly #tasks = new Tasks();
  /** Where the merge index has this edge. */
  readonly #indexed = new Set<string>();
  #identities = -1;
  #isQueued = false;
  #told = '';

  constructor(vertex: EdgeHost, output: number) {
    this.vertex = vertex;
    this.output = output;
    this.state = newEdgeState(vertex.ignoreCache, vertex.inputs.length);
  }

  get current(): SharedEdge {
    let to = this.mergedInto;
    if (to === undefined) return this;
    while (to.mergedInto !== undefined) to = to.mergedInto;
    return to;
  }

  wait(waiter: Waiter): void {
    this.#audience.add(waiter);
    const { phase, level, want } = this.state;
    if (waiter.level > want) this.schedule();
    if (phase.kind === 'done' || phase.kind === 'failed' || level > Level.NONE) waiter.wake();
  }

  unwait(waiter: Waiter): void {
    if (this.#audience.remove(waiter)) this.schedule();
  }

  schedule(): void {
    if (this.#isQueued || this.#isGone) return;
    this.#isQueued = true;
    this.vertex.queue.push(() => {
      this.#isQueued = false;
      this.#turn();
    });
  }

  get #isGone(): boolean {
    return this.isClosed || this.mergedInto !== undefined;
  }

  identityKeys(): readonly CacheKey[] {
    return identityKeys(this);
  }

  #turn(): void {
    if (this.#isGone) return;
    const s = this.state;
    s.want = this.#audience.want;
    if (s.want !== Level.NONE) {
      this.inputs ??= this.vertex.inputs.map(({ vertex, index }, i) => new EdgeInput(this, i, vertex.edge(index)));
    }
    for (const [i, input] of (this.inputs ?? []).entries()) input.look(s.deps[i], !s.ignoreCache);
    if (this.#tryMerge()) return;
    const p = plan(s);
    s.level = p.level;
    s.hopeless = p.hopeless;
    if (p.failure !== undefined) s.phase = { kind: 'failed', error: p.failure.error };
    this.#carryOut(p);
    this.#tell();
  }

  #tell(): void {
    const { phase, level, keys } = this.state;
    const news = `${phase.kind === 'loading' ? 'open' : phase.kind} ${level} ${keys.length}`;
    if (news === this.#told) return;
    this.#told = news;
    this.#audience.wake();
  }

  #carryOut(p: Plan): void {
    this.#tasks.follow(
      p.work,
      async (work, signal) => {
        if (work.kind === 'load') this.state.phase = { kind: 'loading', record: work.record };
        try {
          await this.#do(work, signal);
        } catch (error) {
          if (!signal.aborted && !this.#isGone) this.state.phase = { kind: 'failed', error };
        }
      },
      () => this.schedule(),
    );
    for (const [i, input] of (this.inputs ?? []).entries()) input.ask(p.deps[i]);
  }

  #do(work: Work, signal: AbortSignal): Promise<void> {
    switch (work.kind) {
      case 'map':
        return this.#describe(work.index, signal);
      case 'probe':
        return work.dep === undefined ? probeRoot(this) : probeInput(this, work.dep);
      case 'search':
        return searchRecords(this);
      case 'content':
        return readContent(this, work.dep, signal);
      case 'load':
        return this.#load(work.record);
      case 'run':
        return this.#run(work.misses, signal);
    }
  }

  async #describe(index: number, signal: AbortSignal): Promise<void> {
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

  async #load(record: CacheRecord): Promise<void> {
    const s = this.state;
    const { cache, progress } = this.vertex;
    const end = progress.start(true);
    let result: Result;
    try {
      result = await cache.load(record);
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
      await cache.link(record.key).catch((error: unknown) => logger.warn('cache link failed', { error }));
    }
    await this.#finish(new KeyedResult(result, this.#edge(), [record.key], record));
  }

  #edge(): Edge {
    return { vertex: this.vertex.vertex, index: this.output };
  }

  async #run(misses: readonly CacheMiss[], signal: AbortSignal): Promise<void> {
    const inputs = (this.inputs ?? []).map(({ result }) => {
      if (result === undefined) throw new Error(`input of ${this.vertex.vertex.name} is not complete`);
      return result;
    });
    const outputs = await this.vertex.run(inputs, misses, signal);
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
      for (const map of this.state.maps) keys.push(await this.#save(map, own, createdAt));
    } catch (error) {
      await own.release();
      throw error;
    }
    await this.#finish(new KeyedResult(own, this.#edge(), keys));
  }

  /** A result that cannot be saved (a full disk) is still a result. */
  async #save(map: CacheMap, result: Result, createdAt: bigint): Promise<CacheKey> {
    const key = resultKey(this, map);
    try {
      return await this.vertex.cache.save(key, result, createdAt);
    } catch (error) {
      logger.warn('result could not be saved in the cache', { error });
      return key;
    }
  }

  async #finish(result: KeyedResult): Promise<void> {
    if (this.#isGone || this.state.phase.kind === 'done') {
      await result.release();
      if (this.isClosed) throw canceled();
      return;
    }
    this.state.phase = { kind: 'done', result };
    // What was made in spite of an existing cache must not lead consumers to results of the old one.
    if (!this.state.ignoreCache) for (const key of result.cacheKeys) addKey(this.state, key);
    this.state.level = Level.SLOW;
  }

  /** Merges this edge into one of equal content, if there is one. True when it has gone. */
  #tryMerge(): boolean {
    if (this.state.phase.kind !== 'open' || this.#tasks.has('run')) return false;
    const identities = identityTexts(this);
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

  /**
   * Inputs are always less deep than their consumers; an edge that merges only into one that is not deeper keeps that so,
   * which is why merging never makes a circle. What a vertex builds for its own work is no input: see mayFollow.
   */
  #mayMerge(other: SharedEdge): boolean {
    if (this.state.ignoreCache && !other.state.ignoreCache) return false;
    if (other.state.phase.kind === 'failed' || other.mergedInto !== undefined) return false;
    if (other.vertex === this.vertex || other.vertex.depth > this.vertex.depth) return false;
    return this.vertex.mayFollow(other.vertex);
  }

  #mergeInto(other: SharedEdge): void {
    this.mergedInto = other;
    this.#stop();
    this.vertex.follow(other.vertex);
    other.adopt(this.state.keys);
    for (const waiter of this.#audience.dismiss()) {
      waiter.moved(other);
      other.wait(waiter);
    }
  }

  adopt(keys: readonly CacheKey[]): void {
    if (this.state.ignoreCache) return;
    for (const key of keys) addKey(this.state, key);
    this.schedule();
  }

  #stop(): void {
    this.#tasks.stop();
    for (const input of this.inputs ?? []) input.ask(Level.NONE);
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
  inputMoved(index: number): void {
    const dep = this.state.deps[index];
    dep.keys = 0;
    dep.probed = 0;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.#stop();
    await this.#tasks.ended();
    const { phase } = this.state;
    this.state.phase = { kind: 'failed', error: canceled() };
    this.#audience.wake();
    if (phase.kind === 'done') await phase.result.release();
  }
}
