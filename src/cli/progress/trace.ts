import { nowNs } from '../../base/index.ts';
import type { StatusResponse, Vertex, VertexStatus } from '../../proto/control.pb.ts';
import type { Timestamp } from '../../proto/google/protobuf/timestamp.pb.ts';
import { mergeIntervals } from './intervals.ts';
import type { Interval } from './intervals.ts';
import type { LogScreen } from './log-screen.ts';

/** Last complete lines of a step, shown again when it fails. */
const TAIL = 10;
/** Lines that wait to be shown, or are kept for a failure by a display that shows none. */
const MAX_PENDING = 2_000;

export function timeOf(t: Timestamp | undefined): bigint | undefined {
  return t === undefined ? undefined : t.seconds * 1_000_000_000n + BigInt(t.nanos);
}

export interface StatusLine {
  readonly id: string;
  readonly current: bigint;
  readonly total: bigint;
  readonly timestamp: bigint;
  readonly started?: bigint;
  readonly completed?: bigint;
}

/** One row of the display: a step, or a group of steps. */
export class Step {
  readonly digest: string;
  name: string;
  error = '';
  cached = false;
  /** A group without any strong member that has started is not shown. */
  hidden = false;
  /** Number in the plain display, 0 before it has one. */
  index = 0;
  readonly statuses: StatusLine[] = [];
  readonly #statusAt = new Map<string, number>();
  readonly changedStatuses = new Set<string>();
  readonly warnings: string[] = [];
  warningsShown = 0;
  /** Lines that the display has not shown; the last one may be open. Each begins with its time. */
  pending: string[] = [];
  partial = false;
  /** How much of the open line has been shown. */
  shown = 0;
  #tail: string[] = [];
  readonly intervals = new Map<bigint, Interval>();
  merged: Interval[] = [];
  /** Since when, and how much, the step has had something to say. */
  waitingSince = 0n;
  waiting = 0;
  screen: LogScreen | undefined;
  previous: { name: string; started: bigint; completed?: bigint; cached: boolean; error: string } | undefined;

  constructor(digest: string, name: string) {
    this.digest = digest;
    this.name = name;
  }

  get started(): boolean {
    return this.merged.length > 0;
  }

  get completed(): boolean {
    const last = this.merged.at(-1);
    return last !== undefined && last.stop !== undefined;
  }

  /** Errors of steps that were cancelled end with Go's text. */
  get canceled(): boolean {
    return this.error.endsWith('context canceled');
  }

  get tail(): readonly string[] {
    return this.#tail;
  }

  keepTail(line: string, open: boolean): void {
    // An open line comes again, longer.
    if (open) return;
    this.#tail.push(line);
    if (this.#tail.length > TAIL) this.#tail.shift();
  }

  touch(): void {
    if (this.waiting === 0) this.waitingSince = nowNs();
    this.waiting++;
  }

  addInterval(interval: Interval): boolean {
    const old = this.intervals.get(interval.start);
    this.intervals.set(interval.start, interval);
    this.merged = mergeIntervals(this.intervals.values());
    return old === undefined || old.stop !== interval.stop;
  }

  setStatus(s: VertexStatus): void {
    const line: StatusLine = {
      id: s.ID,
      current: s.current,
      total: s.total,
      timestamp: timeOf(s.timestamp) ?? 0n,
      started: timeOf(s.started),
      completed: timeOf(s.completed),
    };
    const at = this.#statusAt.get(s.ID);
    if (at !== undefined) this.statuses[at] = line;
    else if (line.started !== undefined) {
      this.#statusAt.set(s.ID, this.statuses.length);
      this.statuses.push(line);
    }
    this.changedStatuses.add(s.ID);
  }

  /** Of the time that the step ran in then: a line may come together with the news that its step has started again. */
  #startBefore(timestamp: bigint): bigint | undefined {
    const before = this.merged.findLast(({ start }) => start <= timestamp);
    // Clocks that disagree by a little make no negative times.
    return before?.start ?? (this.started ? timestamp : undefined);
  }

  addLog(text: string, timestamp: bigint): void {
    if (text === '') return;
    const lines = text.split('\n');
    const complete = lines.at(-1) === '';
    if (complete) lines.pop();
    lines.forEach((line, i) => {
      if (i === 0 && this.partial && this.pending.length > 0) {
        this.pending[this.pending.length - 1] += line;
        return;
      }
      const start = this.#startBefore(timestamp);
      const seconds = start === undefined ? 0 : Number(timestamp - start) / 1e9;
      const decimals = seconds < 10 ? 3 : seconds < 100 ? 2 : 1;
      this.pending.push(`${seconds.toFixed(decimals)} ${line}`);
    });
    this.partial = !complete;
    if (this.pending.length > MAX_PENDING && this.screen !== undefined) this.pending.splice(0, MAX_PENDING / 2);
  }
}

interface Group {
  readonly step: Step;
  readonly members: Map<string, Vertex>;
}

export interface TraceOptions {
  /** Makes the small terminal in which a step's output is shown. */
  readonly makeScreen?: () => LogScreen;
}

/** The state of a build as its progress tells it. */
export class Trace {
  readonly #steps = new Map<string, Step>();
  readonly #groups = new Map<string, Group>();
  readonly #makeScreen: (() => LogScreen) | undefined;
  /** In order of their start. */
  readonly rows: Step[] = [];
  /** Digests of steps with something new. */
  readonly updates = new Set<string>();
  startTime: bigint | undefined;
  /** What to add to the daemon's times to get this machine's. */
  clockOffset = 0n;
  readonly #decoders = new Map<string, InstanceType<typeof TextDecoder>>();

  constructor(options: TraceOptions = {}) {
    this.#makeScreen = options.makeScreen;
  }

  get(digest: string): Step | undefined {
    return this.#steps.get(digest);
  }

  /** Every step and group once; members of groups stand for their group. */
  steps(): IterableIterator<Step> {
    return new Set(this.#steps.values()).values();
  }

  update(status: StatusResponse): void {
    const groups = new Set<Group>();
    for (const v of status.vertexes) {
      this.startTime ??= timeOf(v.started);
      if (v.progressGroup === undefined) this.#updateStep(v);
      else groups.add(this.#addMember(v, v.progressGroup));
    }
    for (const group of groups) this.#refreshGroup(group);
    for (const s of status.statuses) {
      const step = this.#steps.get(s.vertex);
      if (step === undefined) continue;
      step.setStatus(s);
      step.touch();
      this.updates.add(step.digest);
    }
    for (const w of status.warnings) {
      const step = this.#steps.get(w.vertex);
      if (step === undefined) continue;
      step.warnings.push(Buffer.from(w.short).toString('utf8'));
      step.touch();
    }
    for (const l of status.logs) {
      const step = this.#steps.get(l.vertex);
      if (step === undefined) continue;
      // A character may be cut between two messages of one stream.
      const key = `${l.vertex} ${l.stream}`;
      let decoder = this.#decoders.get(key);
      if (decoder === undefined) this.#decoders.set(key, (decoder = new TextDecoder()));
      const text = decoder.decode(l.msg, { stream: true });
      step.screen?.write(text);
      step.addLog(text, timeOf(l.timestamp) ?? 0n);
      step.touch();
      this.updates.add(step.digest);
    }
  }

  #newStep(digest: string, name: string): Step {
    const step = new Step(digest, name);
    step.screen = this.#makeScreen?.();
    this.#steps.set(digest, step);
    return step;
  }

  #noteStart(start: bigint): void {
    if (this.clockOffset === 0n) this.clockOffset = nowNs() - start;
  }

  #updateStep(v: Vertex): void {
    const step = this.#steps.get(v.digest) ?? this.#newStep(v.digest, v.name);
    const wasStarted = step.started;
    const started = timeOf(v.started);
    const completed = timeOf(v.completed);
    // An announcement that comes again does not undo a step that has started.
    if (!wasStarted || started !== undefined) {
      step.name = v.name;
      step.cached = v.cached;
      step.error = v.error;
    }
    if (started === undefined) return;
    const before = step.previous;
    if (
      before === undefined ||
      before.name !== v.name ||
      before.started !== started ||
      (completed !== undefined && before.completed !== completed) ||
      before.cached !== v.cached ||
      before.error !== v.error
    ) {
      step.touch();
      this.updates.add(v.digest);
    }
    step.previous = { name: v.name, started, completed, cached: v.cached, error: v.error };
    if (!wasStarted) {
      this.#noteStart(started);
      this.rows.push(step);
    }
    step.addInterval({ start: started, stop: completed });
  }

  #addMember(v: Vertex, info: { id: string; name: string }): Group {
    let group = this.#groups.get(info.id);
    if (group === undefined) {
      const step = this.#newStep(info.id, info.name);
      step.hidden = true;
      this.#groups.set(info.id, (group = { step, members: new Map() }));
    }
    group.members.set(v.digest, v);
    this.#steps.set(v.digest, group.step);
    return group;
  }

  #refreshGroup({ step, members }: Group): void {
    const wasHidden = step.hidden;
    const wasStarted = step.started;
    let changed = false;
    let cached = true;
    let error = '';
    for (const member of members.values()) {
      const start = timeOf(member.started);
      if (start !== undefined) {
        if (step.addInterval({ start, stop: timeOf(member.completed) })) changed = true;
        if (!wasStarted) this.#noteStart(start);
        if (member.progressGroup?.weak !== true) step.hidden = false;
      }
      cached &&= member.cached;
      if (error === '') error = member.error;
    }
    if (error !== '') step.hidden = false;
    if (step.cached !== cached || step.error !== error) changed = true;
    step.cached = cached;
    step.error = error;
    if (step.hidden) return;
    if (wasHidden) {
      changed = true;
      this.rows.push(step);
    }
    if (changed) {
      step.touch();
      this.updates.add(step.digest);
    }
  }

  /** What failed steps printed last, for after the display. */
  errorLogs(): string {
    let out = '';
    for (const step of this.rows) {
      if (step.error === '' || step.canceled) continue;
      const lines = [...step.tail, ...step.pending];
      out += `------\n > ${step.name}:\n${lines.map((l) => `${l}\n`).join('')}------\n`;
    }
    return out;
  }
}
