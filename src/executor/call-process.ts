/** One call of the runtime that carries a process, from its start to its end: streams, terminal, signals, cancellation. */
import { logger } from '../base/index.ts';
import type { ChildProcess, ProcessExit, SpawnRequest } from '../host/index.ts';
import { forward, openStreams } from './process-io.ts';
import { sendSignal } from './process-signals.ts';
import type { RunningProcess } from './process-signals.ts';
import type { ProcessIo } from './types.ts';

export interface ProcessCall {
  /** The container, for the log. */
  readonly id: string;
  readonly tty: boolean;
  readonly pidFile: string;
  start(stdio: SpawnRequest['stdio']): Promise<ChildProcess>;
  /** Ends the process: the call is no longer wanted, or nobody reads what it writes. */
  kill(child: ChildProcess, target: RunningProcess): Promise<void>;
  /** Comes before the rest of the output is waited for. */
  onExit?(exit: ProcessExit): Promise<void>;
}

export interface CallOptions {
  readonly signal: AbortSignal;
  /** Ends the waiting for output: what was not taken by then is dropped. */
  readonly dropOutput: AbortSignal;
  readonly onStarted?: (() => void) | undefined;
}

export async function callProcess(call: ProcessCall, io: ProcessIo, options: CallOptions): Promise<ProcessExit> {
  const { signal } = options;
  const streams = openStreams(io, call.tty);
  try {
    const child = await call.start(streams.stdio);
    let ended = false;
    const exited = child.exited.finally(() => (ended = true));
    const target: RunningProcess = { pidFile: call.pidFile, isEnded: () => ended };
    options.onStarted?.();
    const output = streams.wire(child, options.dropOutput);
    let killing: Promise<void> | undefined;
    const kill = (): void => {
      killing ??= call.kill(child, target);
      killing.catch(() => {});
    };
    signal.addEventListener('abort', kill, { once: true });
    if (signal.aborted) kill();
    output.catch(kill);
    const failed = (error: unknown): void => logger.warn('signal could not be forwarded', { id: call.id, error });
    forward(io.signals, exited, (name) => sendSignal(target, name)).catch(failed);
    forward(io.resizes, exited, async (size) => streams.resize(child, size)).catch(failed);
    try {
      const exit = await exited;
      await killing;
      await call.onExit?.(exit);
      await output;
      return exit;
    } finally {
      signal.removeEventListener('abort', kill);
    }
  } finally {
    streams.close();
  }
}
