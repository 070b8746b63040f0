import { steadyMs } from './clock.ts';
import { canceled } from './errors.ts';

/** A promise with its handles outside. */
export class Deferred<T = void> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (reason: unknown) => void;
  settled = false;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = (value) => {
        this.settled = true;
        resolve(value);
      };
      this.reject = (reason) => {
        this.settled = true;
        reject(reason as Error);
      };
    });
    // A deferred may be rejected before anyone waits: the waiter still sees it.
    this.promise.catch(() => {});
  }
}

/** What an aborted signal throws: its reason when that is an error, a Canceled error otherwise. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error && reason.name !== 'AbortError' ? reason : canceled();
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortReason(signal);
}

/** Waits for `promise`, or rejects with the signal's reason as soon as it aborts (the promise itself goes on). */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  if (signal.aborted) {
    promise.catch(() => {});
    return Promise.reject(abortReason(signal));
  }
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(abortReason(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortReason(signal));
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(abortReason(signal as AbortSignal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Counting semaphore, first come first served. `limit` 0 or less means no limit. */
export class Semaphore {
  readonly #limit: number;
  #used = 0;
  readonly #waiting: Array<() => void> = [];

  constructor(limit: number) {
    this.#limit = limit <= 0 ? Infinity : limit;
  }

  /** Resolves to the function that gives the slot back (calling it twice does nothing). */
  async acquire(signal?: AbortSignal): Promise<() => void> {
    throwIfAborted(signal);
    if (this.#used >= this.#limit) {
      const turn = new Deferred();
      const enter = (): void => turn.resolve();
      this.#waiting.push(enter);
      try {
        await abortable(turn.promise, signal);
      } catch (error) {
        const at = this.#waiting.indexOf(enter);
        if (at >= 0) this.#waiting.splice(at, 1);
        else this.#leave(); // the slot was handed over in the same tick as the abort
        throw error;
      }
    } else {
      this.#used++;
    }
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#leave();
    };
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) next();
    else this.#used--;
  }

  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const release = await this.acquire(signal);
    try {
      return await work();
    } finally {
      release();
    }
  }
}

export class Mutex extends Semaphore {
  constructor() {
    super(1);
  }
}

/** One mutex per key, forgotten when nobody holds or waits for it. */
export class KeyedMutex<K> {
  readonly #locks = new Map<K, { mutex: Mutex; users: number }>();

  async acquire(key: K, signal?: AbortSignal): Promise<() => void> {
    let entry = this.#locks.get(key);
    if (entry === undefined) this.#locks.set(key, (entry = { mutex: new Mutex(), users: 0 }));
    entry.users++;
    const drop = (): void => {
      if (--entry.users === 0) this.#locks.delete(key);
    };
    let release: () => void;
    try {
      release = await entry.mutex.acquire(signal);
    } catch (error) {
      drop();
      throw error;
    }
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      release();
      drop();
    };
  }

  async run<T>(key: K, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const release = await this.acquire(key, signal);
    try {
      return await work();
    } finally {
      release();
    }
  }
}

/**
 * Calls with the same key share one execution. The shared work is aborted only when its last waiter has left; a
 * result is not kept after the last waiter has it.
 */
export class SharedCalls<K, T> {
  readonly #flights = new Map<K, { promise: Promise<T>; waiters: number; abort: AbortController }>();

  async do(key: K, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    throwIfAborted(signal);
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      const abort = new AbortController();
      const promise = Promise.resolve()
        .then(() => work(abort.signal))
        .finally(() => {
          if (this.#flights.get(key)?.abort === abort) this.#flights.delete(key);
        });
      promise.catch(() => {});
      this.#flights.set(key, (flight = { promise, waiters: 0, abort }));
    }
    flight.waiters++;
    try {
      return await abortable(flight.promise, signal);
    } finally {
      if (--flight.waiters === 0) {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        flight.abort.abort(signal?.reason ?? canceled());
      }
    }
  }
}

/** Runs all, waits for all, then throws the first error in order of `items`; results keep that order. */
export async function mapConcurrent<I, O>(
  items: readonly I[],
  limit: number,
  work: (item: I, index: number) => Promise<O>,
): Promise<O[]> {
  const slots = new Semaphore(limit);
  const settled = await Promise.allSettled(items.map((item, i) => slots.run(() => work(item, i))));
  return settled.map((s) => {
    if (s.status === 'rejected') throw s.reason;
    return s.value;
  });
}

const TURN_MS = 4;

/** One turn of work between others' on the event loop, for loops that a client makes long. */
export class Turn {
  #since = steadyMs();

  get isSpent(): boolean {
    return steadyMs() - this.#since > TURN_MS;
  }

  /** Lets everybody else have theirs, and begins anew. */
  async pass(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#since = steadyMs();
  }
}
