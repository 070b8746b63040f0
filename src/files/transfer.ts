/** The main thread's part of a transfer: packets between the connection and the worker thread, in blocks and with credit. */
import { abortable, sleep, startHere, ThreadPool, toBuildError, workerEntry } from '../base/index.ts';
import type { CallOptions, Job } from '../base/index.ts';
import { InboundBlocks } from './inbound-blocks.ts';
import { packetsOf, PacketType } from './packet-codec.ts';
import type { FromWorker, ToWorker } from './transfer-messages.ts';
import type { PacketChannel } from './types.ts';

/** Both ends of a transfer may run in this process and wait for each other: none may queue for a thread. */
const pool = new ThreadPool(workerEntry(import.meta.url, 'transfer.worker'), {
  max: 2,
  perThread: 1 << 20,
  idleMs: 1500,
  lastIdleMs: 60_000,
});

const READ_OUT_MS = 1000;

/** Runs `job` (in a worker thread, or in this one when `here` is the job itself) with `channel` as its connection. Nothing of it goes on once this has settled. */
export async function runTransfer<T>(
  job: 'send' | 'receive',
  args: unknown,
  channel: PacketChannel,
  options: { signal: AbortSignal | undefined; onEvent: (event: any) => void; here?: Job },
): Promise<T> {
  const abort = new AbortController();
  const onAbort = (): void => abort.abort(options.signal?.reason);
  if (options.signal?.aborted) onAbort();
  else options.signal?.addEventListener('abort', onAbort, { once: true });
  let finished = false;
  let failure: Error | undefined;
  /** The connection broke: the worker is told to stop, and the connection's error is the result. */
  const fail = (error: unknown): void => {
    if (finished) return;
    failure ??= toBuildError(error);
    abort.abort(failure);
  };
  /** Why the connection broke is better said by what the peer sent last than by the write that failed. */
  const afterReading = async (error: unknown): Promise<void> => {
    await Promise.race([reading, sleep(READ_OUT_MS, abort.signal).catch(() => {})]);
    fail(error);
  };
  const isOver = (): boolean => finished || abort.signal.aborted;
  const inbound = new InboundBlocks((block, transfer) =>
    running.post({ kind: 'packets', block } satisfies ToWorker, transfer),
  );
  let writes: Promise<void> = Promise.resolve();
  let reading: Promise<void> = Promise.resolve();
  const start = (call: CallOptions) =>
    options.here === undefined ? pool.start<T>(job, args, call) : startHere<T>(options.here, args, call);
  const running = start({
    signal: abort.signal,
    onMessage: (message: FromWorker) => {
      if (message.kind === 'event') options.onEvent(message.event);
      else if (message.kind === 'taken') inbound.taken();
      else {
        writes = writes
          .then(() => channel.writeBatch(packetsOf(message.block)))
          .then(() => running.post({ kind: 'written' } satisfies ToWorker), afterReading);
      }
    },
  });
  const onWake = (): void => {
    running.post({ kind: 'wake' } satisfies ToWorker);
    inbound.wake();
  };
  abort.signal.addEventListener('abort', onWake, { once: true });
  /** A sender reads nothing behind the receiver's FIN: how the connection ends is its caller's to read. */
  const isLast = (batch: readonly Uint8Array[]): boolean =>
    job === 'send' && batch.some((p) => p[0] === 8 && p[1] === PacketType.Fin);
  const read = async (): Promise<void> => {
    while (!isOver()) {
      const batch = await channel.readBatch();
      if (batch === undefined) {
        inbound.end();
        running.post({ kind: 'end' } satisfies ToWorker);
        return;
      }
      await inbound.put(batch, isOver);
      if (isLast(batch)) {
        inbound.end();
        return;
      }
    }
  };
  // Reading may hang until the connection ends, so it is not waited for: what it throws when all is over means nothing.
  reading = read().catch(async (error: unknown) => {
    await inbound.workedOff(isOver);
    fail(error);
  });
  try {
    const result = await running.result;
    await writes;
    if (failure !== undefined) throw failure;
    return result;
  } catch (error) {
    const result = options.signal?.aborted ? error : (failure ?? error);
    finished = true;
    inbound.wake();
    // The peer shall hear why, if it listens.
    await abortable(writes, abort.signal).catch(() => {});
    throw result;
  } finally {
    finished = true;
    inbound.close();
    options.signal?.removeEventListener('abort', onAbort);
    abort.signal.removeEventListener('abort', onWake);
    // Ends what still waits.
    abort.abort();
  }
}
