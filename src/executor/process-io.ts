/** Moves bytes between a child process and the streams of whoever wanted it run; neither side is buffered without bound. */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { openPseudoTerminal } from '../host/index.ts';
import type { ChildProcess, PseudoTerminal, SpawnRequest, TerminalSize } from '../host/index.ts';
import type { ProcessIo } from './types.ts';

const ignore = (): void => {};

async function pump(from: Readable, to: Writable, signal: AbortSignal): Promise<void> {
  const stop = (): void => void from.destroy();
  // Looked at below: without a listener it would end this process.
  to.on('error', ignore);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    for await (const chunk of from) {
      const flowing = to.write(chunk);
      // `drain` never comes from a stream that was closed.
      if (to.destroyed) throw to.errored ?? new Error('output was closed');
      if (flowing) continue;
      const waiting = new AbortController();
      const options = { signal: AbortSignal.any([signal, waiting.signal]) };
      try {
        await Promise.race([once(to, 'drain', options), once(to, 'close', options)]);
      } finally {
        waiting.abort();
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    to.off('error', ignore);
    from.destroy();
  }
}

/** Feeds stdin until the process ends; the returned function stops that and leaves the source to its owner. */
function feed(source: Readable, child: Writable): () => void {
  const onError = (): void => void child.destroy();
  // A process that closes its stdin early is no error.
  child.on('error', () => {});
  source.once('error', onError);
  source.pipe(child);
  return () => {
    source.off('error', onError);
    source.unpipe(child);
    child.destroy();
  };
}

/** As {@link feed}, into a terminal: that it is the end of what is typed does not hang up. */
function type(source: Readable, terminal: Writable): () => void {
  source.pipe(terminal, { end: false });
  source.on('error', ignore);
  return () => {
    source.unpipe(terminal);
    source.off('error', ignore);
  };
}

/** The streams of one process: opened before it starts, wired when it runs, closed at its end. */
export interface ProcessStreams {
  /** For the start of the child. */
  readonly stdio: SpawnRequest['stdio'];
  /**
   * Resolves when all output was taken; rejects when nobody takes it any more. `signal` ends the waiting: what a stalled reader
   * did not take by then is dropped.
   */
  wire(child: ChildProcess, signal: AbortSignal): Promise<void>;
  resize(child: ChildProcess, size: TerminalSize): void;
  close(): void;
}

function allOf(pumps: readonly Promise<void>[]): Promise<void> {
  const output = Promise.all(pumps).then(() => {});
  output.catch(() => {});
  return output;
}

/** What no one wants is /dev/null. */
function openPipes(io: ProcessIo): ProcessStreams {
  const wanted = (stream: unknown): 'pipe' | 'ignore' => (stream === undefined ? 'ignore' : 'pipe');
  let stopInput = (): void => {};
  return {
    stdio: [wanted(io.stdin), wanted(io.stdout), wanted(io.stderr)],
    wire(child, signal) {
      const pumps: Promise<void>[] = [];
      if (child.stdout !== null && io.stdout !== undefined) pumps.push(pump(child.stdout, io.stdout, signal));
      if (child.stderr !== null && io.stderr !== undefined) pumps.push(pump(child.stderr, io.stderr, signal));
      if (child.stdin !== null && io.stdin !== undefined) stopInput = feed(io.stdin, child.stdin);
      return allOf(pumps);
    },
    resize() {},
    close: () => stopInput(),
  };
}

/**
 * The runtime makes a terminal inside the container and copies between it and its own stdio, which is the terminal here:
 * that one it sets to pass everything on as it is. stderr has no stream of its own.
 */
function openTerminal(io: ProcessIo): ProcessStreams {
  const terminal: PseudoTerminal = openPseudoTerminal();
  const { childEnd } = terminal;
  let stopInput = (): void => {};
  return {
    stdio: [io.stdin === undefined ? 'ignore' : childEnd, childEnd, childEnd],
    wire(_child, signal) {
      // From now on the child alone keeps it open.
      terminal.closeChildEnd();
      if (io.stdin !== undefined) stopInput = type(io.stdin, terminal.input);
      if (io.stdout !== undefined) return allOf([pump(terminal.output, io.stdout, signal)]);
      terminal.output.resume();
      return allOf([]);
    },
    resize(child, size) {
      terminal.resize(size);
      // It is not the runtime's controlling terminal, so the kernel tells it nothing.
      child.kill('SIGWINCH');
    },
    close() {
      stopInput();
      terminal.close();
    },
  };
}

export function openStreams(io: ProcessIo, tty: boolean): ProcessStreams {
  return tty ? openTerminal(io) : openPipes(io);
}

/** Hands each of `items` to `use` until `ended` settles. */
export async function forward<T>(
  items: AsyncIterable<T> | undefined,
  ended: Promise<unknown>,
  use: (item: T) => Promise<void>,
): Promise<void> {
  if (items === undefined) return;
  const iterator = items[Symbol.asyncIterator]();
  const stop = ended.then(
    () => undefined,
    () => undefined,
  );
  for (;;) {
    const next = iterator.next();
    next.catch(() => {});
    const step = await Promise.race([next, stop]);
    if (step === undefined) {
      // Not awaited: a generator that waits for its next item answers only after that item.
      void iterator.return?.().catch(() => {});
      return;
    }
    if (step.done === true) return;
    await use(step.value);
  }
}
