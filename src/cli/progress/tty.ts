import { formatBytes, nowNs } from '../../base/index.ts';
import type { StatusResponse } from '../../proto/control.pb.ts';
import { readPalette } from './colors.ts';
import type { Palette } from './colors.ts';
import type { Display } from './display.ts';
import { totalSeconds } from './intervals.ts';
import type { Interval } from './intervals.ts';
import { LogScreen } from './log-screen.ts';
import { Trace } from './trace.ts';
import type { Step } from './trace.ts';

const MIN_LOG_LINES = 6;
/** Columns that a step's output leaves free for its prefix. */
const LOG_MARGIN = 10;
/** Below so many columns a row says nothing. */
const MIN_NAME = 12;
/** A size is shown beside a name that keeps so many columns. */
const MIN_NAME_WITH_SIZE = 20;

export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  write(text: string): void;
}

/** One line of the display. */
interface Row {
  readonly text: string;
  readonly size: string;
  readonly intervals: readonly Interval[];
  readonly done: boolean;
  readonly kind: 'run' | 'cancel' | 'error';
  readonly step?: Step;
}

/** A name or an output line cannot move the cursor of the real terminal. */
function printable(text: string): string {
  return text.replace(/\t/g, ' ').replace(/[\x00-\x1f\x7f-\x9f]/g, '');
}

/** `left` padded so that `right` ends at the terminal's edge. */
function align(left: string, right: string, width: number): string {
  return `${left.padEnd(Math.max(0, width - right.length - 1))} ${right}`;
}

/** The newest rows; unfinished ones that would be cut off take the place of finished ones. */
function fitHeight(rows: readonly Row[], limit: number): readonly Row[] {
  if (limit <= 0) return [];
  if (rows.length <= limit) return rows;
  const visible = rows.slice(-limit);
  const hidden = rows.slice(0, -limit).filter((r) => !r.done);
  let surplus = hidden.length;
  const kept = visible.filter((r) => {
    if (!r.done || surplus <= 0) return true;
    surplus--;
    return false;
  });
  const free = limit - kept.length;
  return free === 0 ? kept : [...hidden.slice(-free), ...kept];
}

/** The live tree of steps (util/progress/progressui/display.go upstream). */
export class TtyDisplay implements Display {
  readonly #terminal: Terminal;
  readonly #trace: Trace;
  readonly #palette: Palette;
  readonly #logLines: number;
  /** Rows below the header that the last drawing left. */
  #drawn = 0;
  #started = false;
  /** How often a step's output was shown: those that talk most stay on the screen. */
  readonly #shows = new Map<Step, number>();

  constructor(terminal: Terminal, env: Readonly<Record<string, string | undefined>> = process.env) {
    this.#terminal = terminal;
    this.#palette = readPalette(env);
    const lines = Number(env.BUILDKIT_TTY_LOG_LINES);
    this.#logLines = Number.isInteger(lines) && lines > 0 ? lines : MIN_LOG_LINES;
    this.#trace = new Trace({
      makeScreen: () => new LogScreen(this.#size().width - LOG_MARGIN, this.#screenHeight(this.#size().height)),
    });
  }

  update(status: StatusResponse): void {
    this.#trace.update(status);
  }

  refresh(): void {
    this.#draw(false);
  }

  done(): void {
    this.#draw(true);
    const logs = this.#trace.errorLogs();
    if (logs !== '') this.#terminal.write(logs.replaceAll('\x1b', ''));
  }

  #size(): { width: number; height: number } {
    const { columns, rows } = this.#terminal;
    return columns > 0 && rows > 0 ? { width: columns, height: rows } : { width: 80, height: 10 };
  }

  #screenHeight(height: number): number {
    return Math.max(MIN_LOG_LINES, Math.min(this.#logLines, height - MIN_LOG_LINES - 1));
  }

  #rows(): Row[] {
    const offset = this.#trace.clockOffset;
    const local = (i: Interval): Interval => ({
      start: i.start + offset,
      stop: i.stop === undefined ? undefined : i.stop + offset,
    });
    const rows: Row[] = [];
    for (const step of this.#trace.rows) {
      const prefix = step.error === '' ? '' : step.canceled ? 'CANCELED ' : 'ERROR ';
      const name = `${prefix}${step.name}`;
      rows.push({
        text: step.cached ? `CACHED ${name}` : name,
        size: '',
        intervals: step.merged.map(local),
        done: step.completed,
        kind: step.error === '' ? 'run' : step.canceled ? 'cancel' : 'error',
        step,
      });
      for (const s of step.statuses) {
        const size =
          s.total !== 0n
            ? `${formatBytes(s.current)} / ${formatBytes(s.total)}`
            : s.current === 0n
              ? ''
              : formatBytes(s.current);
        rows.push({
          text: `=> ${s.id}`,
          size,
          intervals: s.started === undefined ? [] : [local({ start: s.started, stop: s.completed })],
          done: s.completed !== undefined,
          kind: 'run',
        });
      }
      const last = step.merged.at(-1);
      for (const warning of step.warnings) {
        rows.push({
          text: `WARN: ${warning}`,
          size: '',
          intervals: last === undefined ? [] : [local(last)],
          done: false,
          kind: 'cancel',
        });
      }
    }
    return rows;
  }

  /** Steps whose output gets room, and how many rows that takes. */
  #withOutput(rows: readonly Row[], height: number): { steps: Set<Step>; used: number } {
    const running = rows.filter((r) => !r.done);
    const candidates = running
      .map((r) => r.step)
      .filter((s): s is Step => s !== undefined && (s.screen?.written ?? 0) > 0);
    const weight = (s: Step): number => (s.screen?.written ?? 0) + (this.#shows.get(s) ?? 0) * 50;
    candidates.sort((a, b) => weight(b) - weight(a));
    const room = this.#screenHeight(height) + 3;
    let free = height - 2 - running.length;
    let used = 0;
    const steps = new Set<Step>();
    for (const step of candidates) {
      if (free <= room) break;
      steps.add(step);
      used += step.screen?.lines().length ?? 0;
      free -= room;
    }
    return { steps, used };
  }

  #header(width: number, last: boolean): string {
    let total = 0;
    let completed = 0;
    for (const step of this.#trace.steps()) {
      if (step.hidden) continue;
      total++;
      if (step.completed) completed++;
    }
    const start = this.#trace.startTime === undefined ? nowNs() : this.#trace.startTime + this.#trace.clockOffset;
    const state = last && completed > 0 && completed === total ? 'FINISHED' : '';
    const took = (Number(nowNs() - start) / 1e9).toFixed(1);
    return align(`[+] Building ${took}s (${completed}/${total}) ${state}`, '', width).slice(0, width);
  }

  #line(row: Row, width: number, now: bigint): string | undefined {
    if (row.intervals.length === 0) return undefined;
    const took = totalSeconds(row.intervals, now);
    const timer = `${(took < 0.05 ? 0 : took).toFixed(1)}s`;
    let left = width - ' => '.length - timer.length - 3;
    let size = '';
    if (row.size !== '' && left + row.size.length > MIN_NAME_WITH_SIZE) {
      size = ` ${row.size}`;
      left -= size.length;
    }
    if (left < MIN_NAME) return undefined;
    const line = align(` => ${printable(row.text).slice(0, left)}${size}`, timer, width - 1);
    const color = row.done ? this.#palette[row.kind] : undefined;
    return color === undefined ? line : `${color}${line}\x1b[0m`;
  }

  #draw(last: boolean): void {
    const { width, height } = this.#size();
    const now = nowNs();
    const all = this.#rows();
    const output = this.#withOutput(all, height);
    const rows = last ? all : fitHeight(all, height - 2 - output.used);
    const lines: string[] = [];
    for (const row of rows) {
      const line = this.#line(row, width, now);
      if (line === undefined) continue;
      lines.push(line);
      if (row.step === undefined || !output.steps.has(row.step)) continue;
      const { screen } = row.step;
      screen?.resize(width - LOG_MARGIN, this.#screenHeight(height));
      for (const text of screen?.lines() ?? []) lines.push(`\x1b[2m => => # ${printable(text)}\x1b[0m`);
      this.#shows.set(row.step, (this.#shows.get(row.step) ?? 0) + 1);
    }
    // Hidden cursor, back to the header, every line erased behind its text, what is left below cleared.
    const up = this.#started ? `\x1b[${this.#drawn + 1}A` : '';
    const body = [this.#header(width, last), ...lines].map((l) => `${l}\x1b[K\n`).join('');
    this.#terminal.write(`\x1b[?25l${up}\r${body}\x1b[J\x1b[?25h`);
    this.#started = true;
    this.#drawn = lines.length;
  }
}
