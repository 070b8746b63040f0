/**
 * Showing a build's progress: in come status messages, out goes text in one of the modes auto, tty, plain, rawjson and
 * quiet. Deliberately absent: where messages come from, exit codes.
 */
import { BuildError, Code } from '../../base/index.ts';
import type { StatusResponse } from '../../proto/control.pb.ts';
import type { Display } from './display.ts';
import { PlainDisplay } from './plain.ts';
import { statusJson } from './raw-json.ts';
import { TtyDisplay } from './tty.ts';

export { statusJson } from './raw-json.ts';
export { timeOf } from './trace.ts';

const TICK_MS = 150;
const MIN_REDRAW_MS = 100;

/** Where it goes: stderr of a build, stdout of a log. */
export interface ProgressOutput {
  readonly isTTY: boolean;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
}

export interface Progress {
  update(status: StatusResponse): void;
  /** The last drawing and the output of failed steps; call it once. */
  close(): void;
}

function makeDisplay(mode: string, out: ProgressOutput): Display {
  const write = (text: string): void => void out.write(text);
  switch (mode) {
    case '':
    case 'auto':
    case 'tty':
      if (out.isTTY === true) {
        return new TtyDisplay({
          get columns() {
            return out.columns ?? 0;
          },
          get rows() {
            return out.rows ?? 0;
          },
          write,
        });
      }
      if (mode === 'tty') {
        throw new BuildError(Code.Unknown, 'failed to get console: provided file is not a console');
      }
      return new PlainDisplay(write);
    case 'plain':
      return new PlainDisplay(write);
    case 'rawjson':
      return { update: (status) => write(statusJson(status)), refresh() {}, done() {} };
    case 'quiet':
      return { update() {}, refresh() {}, done() {} };
    default:
      throw new BuildError(Code.InvalidArgument, `invalid progress mode ${mode}`);
  }
}

/** Throws for a mode that there is not. $BUILDKIT_PROGRESS decides for `auto`, $TTY_DISPLAY_RATE (ms) the pace. */
export function startProgress(mode: string, out: ProgressOutput): Progress {
  const wanted = mode === 'auto' ? process.env.BUILDKIT_PROGRESS || mode : mode;
  const display = makeDisplay(wanted, out);
  const rate = Number(process.env.TTY_DISPLAY_RATE);
  const given = Number.isInteger(rate) && rate > 0;
  const minMs = given ? rate : MIN_REDRAW_MS;
  let drawn = 0;
  const draw = (): void => {
    drawn = Date.now();
    display.refresh();
  };
  const timer = setInterval(draw, given ? rate : TICK_MS);
  timer.unref();
  let closed = false;
  return {
    update: (status) => {
      if (closed) return;
      display.update(status);
      if (Date.now() - drawn < minMs) return;
      draw();
      timer.refresh();
    },
    close: () => {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      display.done();
    },
  };
}
