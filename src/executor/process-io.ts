/** Moves bytes between a child process and the streams of whoever wanted it run; neither side is buffered without bound. */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type { ChildProcess } from '../host/index.ts';
import type { ProcessIo } from './types.ts';

type Stdio = 'pipe' | 'ignore';

/** What no one wants is /dev/null. */
export function stdioOf(io: ProcessIo): [Stdio, Stdio, Stdio] {
  const wanted = (stream: unknown): Stdio => (stream === undefined ? 'ignore' : 'pipe');
  return [wanted(io.stdin), wanted(io.stdout), wanted(io.stderr)];
}

async function pump(from: Readable, to: Writable, signal: AbortSignal): Promise<void> {
  const stop = (): void => void from.destroy();
  const ignore = (): void => {};
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

export interface Wired {
  /** Resolves when all output was taken; rejects when nobody takes it any more. */
  readonly output: Promise<void>;
  stopInput(): void;
}

/** `signal` ends waiting for output: what a stalled reader did not take by then is dropped. */
export function wire(child: ChildProcess, io: ProcessIo, signal: AbortSignal): Wired {
  const pumps: Promise<void>[] = [];
  if (child.stdout !== null && io.stdout !== undefined) pumps.push(pump(child.stdout, io.stdout, signal));
  if (child.stderr !== null && io.stderr !== undefined) pumps.push(pump(child.stderr, io.stderr, signal));
  const stopInput = child.stdin !== null && io.stdin !== undefined ? feed(io.stdin, child.stdin) : () => {};
  const output = Promise.all(pumps).then(() => {});
  output.catch(() => {});
  return { output, stopInput };
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
