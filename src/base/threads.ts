/**
 * Worker threads that run jobs of heavy synchronous file and byte work. A worker's file is named `<what>.worker.ts`
 * (base names are unique in the project: each becomes a bundle of its own) and calls {@link serveJobs}; its users hold a
 * {@link ThreadPool} on {@link workerEntry}. Threads start on first use and end when idle.
 */
import type { Transferable, Worker } from 'node:worker_threads';
import { BuildError, Code, toBuildError } from './errors.ts';
import type { ErrorDetail } from './errors.ts';
import { abortReason } from './async.ts';

/** `meta` is the caller's `import.meta.url`; `name` is the worker file's name without `.ts`, e.g. `walk.worker`. */
export function workerEntry(meta: string, name: string): URL {
  return new URL(meta.endsWith('.ts') ? `./${name}.ts` : `./${name}.mjs`, meta);
}

/** What a job gets beside its arguments. */
export interface JobContext {
  /** True once the caller has aborted; long loops look at it now and then. */
  readonly aborted: () => boolean;
  /** Throws Canceled once the caller has aborted. */
  readonly check: () => void;
  /** Sends a message to the caller's `onMessage` (progress, chunks). */
  readonly emit: (message: unknown, transfer?: Transferable[]) => void;
  /** Messages that the caller sends with {@link RunningJob.post}, in order; set before the first await. */
  onMessage: ((message: any) => void) | undefined;
}

export type Job = (args: any, context: JobContext) => unknown;

interface WireError {
  code: Code;
  message: string;
  details: readonly ErrorDetail[];
  errno?: string;
  stack?: string;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly transfer?: Transferable[];
  readonly onMessage?: (message: any) => void;
}

export interface RunningJob<T> {
  readonly result: Promise<T>;
  post(message: unknown, transfer?: Transferable[]): void;
}

interface Pending {
  resolve: (value: any) => void;
  reject: (error: Error) => void;
  onMessage: ((message: any) => void) | undefined;
  flag: Int32Array;
  cleanup: () => void;
}

/** What is young in a thread dies soon: V8 would let it grow to 48 MB before it looks. */
const LIMITS = { resourceLimits: { maxYoungGenerationSizeMb: 16 } };

/** A new thread's heap is 6 to 12 MB; what large work has let it grow to is given back late by V8, and never while it has nothing to do. */
const LARGE_HEAP = 16 << 20;

interface Thread {
  worker: Worker;
  jobs: Map<number, Pending>;
  idleTimer: NodeJS.Timeout | undefined;
}

function workerThreads(): typeof import('node:worker_threads') {
  return process.getBuiltinModule('node:worker_threads');
}

export interface ThreadPoolOptions {
  readonly max?: number;
  readonly perThread?: number;
  /** How long a thread waits for another job. */
  readonly idleMs?: number;
  /** How long it does when it is the only one: where the next job is likely to come within a minute, and not to wait for a start; not one whose heap large work has let grow. */
  readonly lastIdleMs?: number;
}

/** At most `max` threads on one entry file; each runs `perThread` jobs at a time (more than one only helps jobs that wait). */
export class ThreadPool {
  readonly #entry: URL;
  readonly #max: number;
  readonly #perThread: number;
  readonly #idleMs: number;
  readonly #lastIdleMs: number;
  readonly #threads: Thread[] = [];
  readonly #queue: Array<(thread: Thread) => void> = [];
  #nextId = 1;
  #closed = false;

  constructor(entry: URL, options: ThreadPoolOptions = {}) {
    this.#entry = entry;
    this.#max = options.max ?? 2;
    this.#perThread = options.perThread ?? 1;
    this.#idleMs = options.idleMs ?? 5000;
    this.#lastIdleMs = options.lastIdleMs ?? this.#idleMs;
  }

  call<T>(job: string, args: unknown, options: CallOptions = {}): Promise<T> {
    return this.start<T>(job, args, options).result;
  }

  start<T>(job: string, args: unknown, options: CallOptions = {}): RunningJob<T> {
    const { signal } = options;
    const id = this.#nextId++;
    let thread: Thread | undefined;
    const early: Array<[unknown, Transferable[]]> = [];
    const result = new Promise<T>((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortReason(signal));
        return;
      }
      if (this.#closed) {
        reject(new Error('thread pool is closed'));
        return;
      }
      const flag = new Int32Array(new SharedArrayBuffer(4));
      const onAbort = (): void => {
        Atomics.store(flag, 0, 1);
        const at = this.#queue.indexOf(run);
        if (at >= 0) {
          this.#queue.splice(at, 1);
          reject(abortReason(signal as AbortSignal));
        } else thread?.worker.postMessage({ kind: 'abort', id });
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const run = (t: Thread): void => {
        thread = t;
        clearTimeout(t.idleTimer);
        t.idleTimer = undefined;
        t.worker.ref();
        t.jobs.set(id, {
          resolve,
          reject: (error) => reject(signal?.aborted && toBuildError(error).isCanceled ? abortReason(signal) : error),
          onMessage: options.onMessage,
          flag,
          cleanup: () => signal?.removeEventListener('abort', onAbort),
        });
        t.worker.postMessage({ kind: 'run', id, job, args, flag }, options.transfer ?? []);
        for (const [message, transfer] of early) t.worker.postMessage({ kind: 'message', id, message }, transfer);
      };
      this.#dispatch(run);
    });
    return {
      result,
      post: (message, transfer = []) => {
        if (thread === undefined) early.push([message, transfer]);
        else thread.worker.postMessage({ kind: 'message', id, message }, transfer);
      },
    };
  }

  #dispatch(run: (thread: Thread) => void): void {
    let best: Thread | undefined;
    for (const t of this.#threads) if (best === undefined || t.jobs.size < best.jobs.size) best = t;
    if (
      best !== undefined &&
      (best.jobs.size === 0 || (this.#threads.length >= this.#max && best.jobs.size < this.#perThread))
    ) {
      run(best);
    } else if (this.#threads.length < this.#max) {
      run(this.#spawn());
    } else {
      this.#queue.push(run);
    }
  }

  #spawn(): Thread {
    // Loaded with the first thread: a client that starts none shall not wait for it.
    const worker = new (workerThreads().Worker)(this.#entry, LIMITS);
    const thread: Thread = { worker, jobs: new Map(), idleTimer: undefined };
    this.#threads.push(thread);
    worker.on('message', (m: { kind: string; id: number; value?: unknown; error?: WireError }) => {
      const pending = thread.jobs.get(m.id);
      if (pending === undefined) return;
      if (m.kind === 'emit') {
        pending.onMessage?.(m.value);
        return;
      }
      this.#finish(thread, m.id);
      if (m.kind === 'done') pending.resolve(m.value);
      else pending.reject(errorFromThread(m.error as WireError));
    });
    const fail = (error: Error): void => {
      const reason = startFailure(error) ?? error;
      const at = this.#threads.indexOf(thread);
      if (at >= 0) this.#threads.splice(at, 1);
      clearTimeout(thread.idleTimer);
      for (const pending of thread.jobs.values()) {
        pending.cleanup();
        pending.reject(reason);
      }
      thread.jobs.clear();
      const next = this.#queue.shift();
      if (next !== undefined) this.#dispatch(next);
    };
    worker.on('error', fail);
    worker.on('exit', (code) => fail(new Error(`worker thread ended with code ${code}`)));
    return thread;
  }

  #finish(thread: Thread, id: number): void {
    thread.jobs.get(id)?.cleanup();
    thread.jobs.delete(id);
    const next = this.#queue.shift();
    if (next !== undefined) next(thread);
    else if (thread.jobs.size === 0) {
      // An idle thread must not keep the process alive, nor its 12 MB for long.
      thread.worker.unref();
      const timer = setTimeout(() => void this.#rest(thread, timer), this.#idleMs).unref();
      thread.idleTimer = timer;
    }
  }

  /** Ends an idle thread, or has it wait for longer: the last one, unless its heap has grown. */
  async #rest(thread: Thread, timer: NodeJS.Timeout): Promise<void> {
    const left = this.#lastIdleMs - this.#idleMs;
    const mayStay = left > 0 && this.#threads.length === 1 && !(await hasLargeHeap(thread.worker));
    // It was given a job meanwhile.
    if (thread.idleTimer !== timer) return;
    if (mayStay) thread.idleTimer = setTimeout(() => this.#end(thread), left).unref();
    else this.#end(thread);
  }

  #end(thread: Thread): void {
    // Out of the list first: it ends later than it is told to, and no job may be given to it meanwhile.
    const at = this.#threads.indexOf(thread);
    if (at >= 0) this.#threads.splice(at, 1);
    void thread.worker.terminate();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#threads.map((t) => t.worker.terminate()));
  }
}

/**
 * Runs a job in this thread, with what a {@link ThreadPool} gives one: for work that is known to be so little that the start of
 * a thread would be most of it.
 */
export function startHere<T>(job: Job, args: unknown, options: CallOptions = {}): RunningJob<T> {
  const { signal } = options;
  const context: JobContext = {
    aborted: () => signal?.aborted === true,
    check: () => {
      if (signal?.aborted) throw abortReason(signal);
    },
    // Later, as from a thread: the caller has not got the running job yet.
    emit: (message) => queueMicrotask(() => options.onMessage?.(message)),
    onMessage: undefined,
  };
  const run = async (): Promise<T> => {
    try {
      context.check();
      return (await job(args, context)) as T;
    } catch (thrown) {
      const error = toBuildError(thrown);
      throw signal?.aborted && error.isCanceled ? abortReason(signal) : error;
    }
  };
  return { result: run(), post: (message) => context.onMessage?.(message) };
}

/** False for one that has ended meanwhile. */
async function hasLargeHeap(worker: Worker): Promise<boolean> {
  try {
    return (await worker.getHeapStatistics()).total_heap_size > LARGE_HEAP;
  } catch {
    return false;
  }
}

/** A thread has a loop of its own, which takes descriptors; Node tells their want in the text alone. */
function startFailure(error: Error): BuildError | undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_INIT_FAILED') return undefined;
  return /EMFILE|ENFILE/.test(error.message)
    ? new BuildError(Code.ResourceExhausted, 'too many open files', { cause: error })
    : new BuildError(Code.ResourceExhausted, error.message, { cause: error });
}

function errorFromThread(e: WireError): Error {
  const error = new BuildError(e.code, e.message, { details: e.details });
  if (e.errno !== undefined) (error as unknown as NodeJS.ErrnoException & { errnoName: string }).errnoName = e.errno;
  if (e.stack !== undefined) error.stack = e.stack;
  return error;
}

/** Called once by a worker's file. Jobs may be async; what they return is cloned to the caller. */
export function serveJobs(jobs: Readonly<Record<string, Job>>): void {
  const port = workerThreads().parentPort;
  if (port === null) return;
  const running = new Map<number, JobContext>();
  port.on(
    'message',
    (m: { kind: string; id: number; job: string; args: unknown; flag: Int32Array; message: unknown }) => {
      if (m.kind === 'message') {
        running.get(m.id)?.onMessage?.(m.message);
        return;
      }
      if (m.kind !== 'run') return;
      const aborted = (): boolean => Atomics.load(m.flag, 0) !== 0;
      const context: JobContext = {
        aborted,
        check: () => {
          if (aborted()) throw new BuildError(1, 'context canceled');
        },
        emit: (value, transfer = []) => port.postMessage({ kind: 'emit', id: m.id, value }, transfer),
        onMessage: undefined,
      };
      running.set(m.id, context);
      void (async () => {
        try {
          const job = jobs[m.job];
          if (job === undefined) throw new Error(`unknown job ${m.job}`);
          const value: any = await job(m.args, context);
          const transfer: Transferable[] = value?.transfer instanceof Array ? value.transfer : [];
          port.postMessage({ kind: 'done', id: m.id, value }, transfer);
        } catch (thrown) {
          const e = toBuildError(thrown);
          const error: WireError = { code: e.code, message: e.message, details: e.details, stack: e.stack };
          const errno = (thrown as NodeJS.ErrnoException)?.code;
          if (typeof errno === 'string') error.errno = errno;
          port.postMessage({ kind: 'failed', id: m.id, error });
        } finally {
          running.delete(m.id);
        }
      })();
    },
  );
}
