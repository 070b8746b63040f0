import { formatBytes, nowNs } from '../../base/index.ts';
import type { StatusResponse } from '../../proto/control.pb.ts';
import type { Display } from './display.ts';
import { totalSeconds } from './intervals.ts';
import { Trace } from './trace.ts';
import type { StatusLine, Step } from './trace.ts';

/** Staying with one step so long before another one may be shown that has as much to say. */
const ANTI_FLICKER_S = 5;
/** No step waits longer than this to be shown. */
const MAX_DELAY_S = 10;
/** A running status is told again after so much time, or so much of its total. */
const STATUS_DELAY_S = 5;
const STATUS_SHARE = 0.05;
const SHORT_NAME = 72;

const seconds = (ns: bigint): number => Number(ns) / 1e9;

function statusText(s: StatusLine): string {
  let text = s.id;
  if (s.total !== 0n) text += ` ${formatBytes(s.current)} / ${formatBytes(s.total)}`;
  else if (s.current !== 0n) text += ` ${formatBytes(s.current)}`;
  if (s.started !== undefined) {
    const took = seconds((s.completed ?? s.timestamp) - s.started);
    if (took > 0.01) text += ` ${took.toFixed(1)}s`;
  }
  return s.completed === undefined ? text : `${text} done`;
}

/** One step at a time, each line with its number: `#3 0.213 text` (util/progress/progressui/printer.go upstream). */
export class PlainDisplay implements Display {
  readonly #write: (text: string) => void;
  readonly #trace = new Trace();
  #current: Step | undefined;
  #first = true;
  #nextIndex = 1;
  readonly #lastStatus = new Map<string, { current: bigint; timestamp: bigint }>();
  #out = '';

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  update(status: StatusResponse): void {
    this.#trace.update(status);
  }

  refresh(): void {
    this.#choose();
    if (this.#out !== '') this.#write(this.#out);
    this.#out = '';
  }

  done(): void {
    this.refresh();
    const logs = this.#trace.errorLogs();
    if (logs !== '') this.#write(logs);
  }

  #choose(): void {
    const finished: Step[] = [];
    const open = new Set<Step>();
    for (const digest of this.#trace.updates) {
      const step = this.#trace.get(digest);
      if (step === undefined || step.hidden) continue;
      if (step.completed) finished.push(step);
      else open.add(step);
    }
    const current = this.#current;
    const currentFinished = current !== undefined && finished.includes(current);
    if (current !== undefined && currentFinished) this.#show(current);
    finished.sort((a, b) => {
      const x = a.merged.at(-1)?.stop ?? 0n;
      const y = b.merged.at(-1)?.stop ?? 0n;
      return x < y ? -1 : x > y ? 1 : 0;
    });
    for (const step of finished) if (step !== current) this.#show(step);

    if (open.size === 0) {
      if (current?.started === true && !current.completed) return;
      for (const step of this.#trace.steps()) {
        if (step.started && !step.completed && !step.hidden) {
          this.#show(step);
          return;
        }
      }
      return;
    }
    if (current !== undefined && open.has(current)) this.#show(current);
    this.#share(open, currentFinished ? undefined : current, currentFinished);
  }

  /** Who speaks next: who waits too long, then who has most to say, if it is the present one's time to yield. */
  #share(open: Set<Step>, current: Step | undefined, currentFinished: boolean): void {
    const now = nowNs();
    if (current !== undefined) open.add(current);
    const stats = new Map<Step, { waited: number; speed: number; late: boolean }>();
    let sum = 0;
    let fastest: Step | undefined;
    for (const step of open) {
      if (step.waitingSince === 0n) continue;
      const waited = seconds(now - step.waitingSince);
      const speed = step.waiting / Math.max(waited, 1e-9);
      const late = waited > MAX_DELAY_S && step !== current;
      stats.set(step, { waited, speed, late });
      sum += speed;
      if (late || fastest === undefined || (stats.get(fastest)?.speed ?? 0) < speed) fastest = step;
    }
    if (fastest === undefined) return;
    if (currentFinished || current === undefined) {
      this.#show(fastest);
      return;
    }
    for (const [step, { late }] of stats) {
      if (late) {
        this.#show(step);
        return;
      }
    }
    const mine = stats.get(current);
    if (mine === undefined) return;
    const share = sum > 0 ? mine.speed / sum : 1;
    if (ANTI_FLICKER_S / (1 - share) < mine.waited) this.#show(fastest);
  }

  #line(text: string): void {
    this.#out += `${text}\n`;
  }

  #show(step: Step): void {
    if (step.index === 0) step.index = this.#nextIndex++;
    const n = `#${step.index}`;
    if (step !== this.#current) {
      const old = this.#current;
      if (old !== undefined) {
        if (old.partial && old.shown > 0) this.#line('');
        old.shown = 0;
        old.waiting = 0;
        this.#line(`#${old.index} ...`);
      }
      if (!this.#first) this.#line('');
      this.#first = false;
      const cut = process.env.PROGRESS_NO_TRUNC === '0' && step.name.length > SHORT_NAME;
      this.#line(`${n} ${cut ? `${step.name.slice(0, SHORT_NAME)}...` : step.name}`);
    }
    const openStatus = this.#showStatuses(step, n);
    while (step.warningsShown < step.warnings.length) {
      this.#line(`${n} WARN: ${step.warnings[step.warningsShown++]}`);
    }
    this.#showLogs(step, n);
    this.#current = step;
    // Statuses of remote caches may outlive their step.
    if (step.completed && !openStatus) {
      this.#current = undefined;
      step.waiting = 0;
      if (step.partial) this.#line('');
      this.#line(`${n} ${this.#outcome(step)}`);
    }
    this.#trace.updates.delete(step.digest);
  }

  #outcome(step: Step): string {
    if (step.error !== '') return step.canceled ? 'CANCELED' : `ERROR: ${step.error}`;
    if (step.cached) return 'CACHED';
    return step.merged.length === 0 ? 'DONE' : `DONE ${totalSeconds(step.merged, nowNs()).toFixed(1)}s`;
  }

  #showStatuses(step: Step, n: string): boolean {
    let open = false;
    for (const s of step.statuses) {
      if (!step.changedStatuses.has(s.id)) continue;
      const last = this.#lastStatus.get(s.id);
      if (last !== undefined && s.completed === undefined) {
        const share = s.total > 0n ? Number(s.current - last.current) / Number(s.total) : 0;
        if (share < STATUS_SHARE && seconds(s.timestamp - last.timestamp) < STATUS_DELAY_S) continue;
      }
      this.#lastStatus.set(s.id, { current: s.current, timestamp: s.timestamp });
      if (s.completed === undefined) open = true;
      this.#line(`${n} ${statusText(s)}`);
    }
    step.changedStatuses.clear();
    return open;
  }

  #showLogs(step: Step, n: string): void {
    const { pending } = step;
    pending.forEach((line, i) => {
      const last = i === pending.length - 1;
      this.#out += i === 0 && step.shown > 0 ? line.slice(step.shown) : `${n} ${line}`;
      if (!last || !step.partial) this.#out += '\n';
      step.keepTail(line, last && step.partial);
    });
    if (pending.length === 0) return;
    const openLine = step.partial ? pending.at(-1) : undefined;
    step.pending = openLine === undefined ? [] : [openLine];
    step.shown = openLine?.length ?? 0;
  }
}
