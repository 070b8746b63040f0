/**
 * ExecOp: a process over mounts of the inputs, of caches, secrets and agents. Here it becomes a cache map (whose digest
 * equals upstream's) and results. Deliberately absent: containers (executor/), what RUN is (frontends/), emulators
 * themselves.
 */
import { toBuildError } from '../../base/index.ts';
import type { StepUsage } from '../../executor/index.ts';
import type { Executor, ProcessMeta } from '../../executor/types.ts';
import { RequestJournal } from '../../gatekeeper/index.ts';
import type { Judge } from '../../gatekeeper/index.ts';
import type { Platform } from '../../oci/types.ts';
import type { ExecOp, LinuxResources, Mount } from '../../proto/ops.pb.ts';
import type { SessionManager } from '../../session/types.ts';
import { Remains } from '../../solver/index.ts';
import type { JobContext, Op, Result, Vertex } from '../../solver/types.ts';
import type { CacheAccessor, ContentHasher } from '../../storage/types.ts';
import { formatTraceParent, stepSpanId, TRACE_VALUE } from '../../trace/index.ts';
import { RefResult, refOf } from '../ref-result.ts';
import { execCacheMap } from './cache-map.ts';
import { EMULATOR, emulatorMount, findEmulator } from './emulator.ts';
import { execFacts } from './facts.ts';
import { StepMounts } from './mounts.ts';
import { linuxResources, processMeta } from './process-meta.ts';
import { checkRunnable } from './runnable.ts';
import { commitOutputs, runProcess } from './run.ts';
import { secretEnvironment } from './secrets.ts';

export { dropCacheMounts } from './cache-mounts.ts';
export { StepMounts } from './mounts.ts';
export { defaultPath, processMeta } from './process-meta.ts';
export { checkRunnable } from './runnable.ts';
export { secretEnvironment } from './secrets.ts';
export type { StepContext } from './secrets.ts';

export interface ExecOpDeps {
  readonly accessor: CacheAccessor;
  readonly hasher: ContentHasher;
  readonly executor: Executor;
  readonly sessions: SessionManager;
  readonly workerId: string;
  /** What processes can be run for. */
  readonly platforms: () => readonly Platform[];
  /** Whether a step may ask for what it asks its proxy for: all builds that wait for it have a say. */
  readonly judgeRequest: (context: JobContext) => Judge;
}

/** For each mount what it was given, and what it held when the step failed. */
async function remainsOf(
  step: StepMounts,
  mounts: readonly Mount[],
  results: readonly Result[],
  workerId: string,
): Promise<Remains> {
  const written = await step.takeWritten();
  const given = (mount: Mount): Result | undefined => results[Number(mount.input)]?.fork();
  return new Remains({
    inputs: mounts.map(given),
    made: mounts.map((mount, i) => {
      const ref = written.get(i);
      return ref === undefined ? given(mount) : new RefResult(workerId, ref);
    }),
  });
}

/** Of builds that share the step, the first has what runs in it in its trace. */
function traceParentOf(vertex: Vertex, context: JobContext): string | undefined {
  const [traceId] = context.values(TRACE_VALUE) as string[];
  if (traceId === undefined) return undefined;
  return formatTraceParent({ traceId, spanId: stepSpanId(traceId, vertex.digest) });
}

export function createExecOp(
  deps: ExecOpDeps,
  vertex: Vertex,
  op: ExecOp,
  platform: Platform,
  slot: (signal: AbortSignal) => Promise<() => void>,
  isProxied = false,
): Op {
  const { accessor, executor, sessions } = deps;
  let usage: ReadonlyMap<string, StepUsage> | undefined;
  let journal: RequestJournal | undefined;
  const guarded = (meta: ProcessMeta, notes: RequestJournal, context: JobContext): ProcessMeta => ({
    ...meta,
    proxy: { judge: deps.judgeRequest(context), note: (note) => notes.add(note) },
  });
  return {
    async cacheMap() {
      return { map: execCacheMap(deps.hasher, op, platform, vertex.inputs.length, vertex.name), done: true };
    },
    async exec(context: JobContext, results: readonly Result[]) {
      checkRunnable(op.meta?.args ?? [], platform, deps.platforms());
      const inputs = results.map(refOf);
      for (const input of inputs) await input?.unlazy(context);
      const name = `exec ${op.meta?.args.join(' ') ?? ''}`;
      const cwd = op.meta?.cwd ?? '';
      const step = await StepMounts.open({ accessor, sessions, context, mounts: op.mounts, inputs, cwd, name });
      try {
        const emulator = findEmulator(platform, deps.platforms(), process.env.PATH);
        const plain = processMeta(op, {
          platform,
          readonlyRootfs: step.root.readonly,
          secretEnv: await secretEnvironment(sessions, op.secretenv, context),
          traceParent: traceParentOf(vertex, context),
          // Read now: jobs that share the step may have relaxed it.
          resources: linuxResources(vertex.options.metadata?.value as LinuxResources | undefined),
        });
        const meta = emulator === undefined ? plain : { ...plain, args: [EMULATOR, ...plain.args] };
        const mounts = emulator === undefined ? step.mounts : [...step.mounts, emulatorMount(emulator)];
        journal = isProxied ? new RequestJournal() : undefined;
        await runProcess(
          executor,
          { root: step.root, mounts },
          journal === undefined ? meta : guarded(meta, journal, context),
          context,
          { journal, onUsage: (measured) => (usage = new Map([[vertex.digest, measured]])) },
        );
        const refs = await commitOutputs(step);
        return refs.map((ref) => new RefResult(deps.workerId, ref));
      } catch (error) {
        // Nobody is left to look.
        if (context.signal.aborted) throw error;
        throw toBuildError(error).withAttachment(await remainsOf(step, op.mounts, results, deps.workerId));
      } finally {
        await step.release();
      }
    },
    acquire: slot,
    facts: () => ({
      ...execFacts(op, isProxied ? { digest: vertex.digest, journal } : undefined),
      ...(usage === undefined ? {} : { usage }),
    }),
  };
}
