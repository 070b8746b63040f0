/** The jobs by their ids. */
import { abortable, BuildError, Code, Deferred, notFound, RecentIds, throwIfAborted } from '../base/index.ts';
import { Graph } from './graph.ts';
import { ActiveJob } from './job.ts';
import type { Job, Solver, SolverOptions } from './types.ts';

/** A Status call may come after its build has ended. */
const LINGER_MS = 10_000;
/** A Status call may come before its build. */
const WAIT_MS = 6000;

export function createSolver(options: SolverOptions, graph = new Graph(options)): Solver {
  const jobs = new Map<string, ActiveJob>();
  const arrivals = new Map<string, { readonly arrived: Deferred<Job | undefined>; waiters: number }>();
  const timers = new Map<string, NodeJS.Timeout>();
  const refused = new RecentIds({ lifetimeMs: WAIT_MS });

  const forgetLater = (id: string): void => {
    const timer = setTimeout(() => {
      timers.delete(id);
      jobs.delete(id);
    }, LINGER_MS);
    timer.unref();
    timers.set(id, timer);
  };

  const solver: Solver = {
    newJob(id, { sessions = [] } = {}) {
      if (jobs.has(id)) throw new BuildError(Code.AlreadyExists, `job ID ${id} exists`);
      const job = new ActiveJob(id, graph, sessions, () => forgetLater(id));
      jobs.set(id, job);
      refused.take(id);
      arrivals.get(id)?.arrived.resolve(job);
      return job;
    },
    noJob(id) {
      if (jobs.has(id)) return;
      const waiting = arrivals.get(id);
      if (waiting === undefined) refused.add(id);
      else waiting.arrived.resolve(undefined);
    },
    find: (id) => jobs.get(id),
    async waitFor(id, timeoutMs = WAIT_MS, signal) {
      const job = jobs.get(id);
      // Told once: whoever asks after that means another try.
      if (job !== undefined || refused.take(id)) return job;
      throwIfAborted(signal);
      let wait = arrivals.get(id);
      if (wait === undefined) arrivals.set(id, (wait = { arrived: new Deferred(), waiters: 0 }));
      wait.waiters++;
      const late = new Deferred<Job>();
      const timer = setTimeout(() => late.reject(notFound(`no such job ${id}`)), timeoutMs);
      try {
        return await abortable(Promise.race([wait.arrived.promise, late.promise]), signal);
      } finally {
        clearTimeout(timer);
        if (--wait.waiters === 0) arrivals.delete(id);
      }
    },
    get jobs() {
      return [...jobs.values()].filter((j) => !j.isDiscarded);
    },
    async close() {
      await Promise.all([...jobs.values()].map((j) => j.discard()));
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
      refused.clear();
      jobs.clear();
    },
  };
  return solver;
}
