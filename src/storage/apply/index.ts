/**
 * Archives to trees and trees to archives: layers unpacked into snapshots, archives for ADD, trees as a tar stream. Work is
 * done by worker threads; every path is resolved below its root. Deliberately absent: mounts, the content store.
 */
import { Deferred, ThreadPool, workerEntry } from '../../base/index.ts';
import { callOptions } from '../diff/call-options.ts';
import type { WorkOptions } from '../diff/types.ts';
import type { AppliedLayer, ApplyRequest, PackEntry, PackOptions, UnpackRequest } from './types.ts';

export type { AppliedLayer, ApplyRequest, PackEntry, PackOptions, UnpackRequest } from './types.ts';

const workers = workerEntry(import.meta.url, 'layer-apply.worker');
const pool = new ThreadPool(workers);
/** A packing job waits for its reader, so it must not keep a thread from others. */
const packers = new ThreadPool(workers, { perThread: 16 });

/**
 * InvalidArgument for what is no tar, ResourceExhausted beyond the limits, FailedPrecondition for another diffId. After an
 * error the target is in no defined state.
 */
export function applyLayer(request: ApplyRequest, options: WorkOptions = {}): Promise<AppliedLayer> {
  return pool.call<AppliedLayer>('applyLayer', request, callOptions(options));
}

/** false when `source` is not a regular file that begins as a (compressed) tar: nothing was written then, the caller copies. */
export function unpackArchive(request: UnpackRequest, options: WorkOptions = {}): Promise<boolean> {
  return pool.call<boolean>('unpack', request, callOptions(options));
}

/** The trees as one tar, in chunks of about 1 MiB; leaving the loop ends the work. */
export async function* packDirectories(
  entries: readonly PackEntry[],
  options: PackOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const { signal, ...rest } = options;
  const abort = new AbortController();
  const chunks: Uint8Array[] = [];
  let arrived = new Deferred();
  let done = false;
  const job = packers.start<void>(
    'pack',
    { ...rest, entries },
    {
      signal: signal === undefined ? abort.signal : AbortSignal.any([signal, abort.signal]),
      onMessage: (chunk: Uint8Array) => {
        chunks.push(chunk);
        arrived.resolve();
      },
    },
  );
  const result = job.result.finally(() => {
    done = true;
    arrived.resolve();
  });
  result.catch(() => {}); // seen below
  try {
    for (;;) {
      for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
        yield chunk;
        job.post(undefined);
      }
      if (done) break;
      await arrived.promise;
      arrived = new Deferred();
    }
    await result;
  } finally {
    abort.abort();
    job.post(undefined); // wakes a job that waits for leave
    await result.catch(() => {});
  }
}
