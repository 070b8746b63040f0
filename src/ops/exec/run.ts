import { logLimits, StepLog, wrapError } from '../../base/index.ts';
import type { StepUsage } from '../../executor/index.ts';
import type { ExecMount, Executor, ProcessMeta } from '../../executor/types.ts';
import type { RequestJournal } from '../../gatekeeper/index.ts';
import type { JobContext } from '../../solver/types.ts';
import type { ImmutableRef } from '../../storage/types.ts';
import type { StepMounts } from './mounts.ts';
import { quote } from './quote.ts';

/** Runs the process over its mounts; the end of output that was clipped is shown when it fails, what it asked for in any case. */
export async function runProcess(
  executor: Executor,
  { root, mounts }: { readonly root: ExecMount; readonly mounts: readonly ExecMount[] },
  meta: ProcessMeta,
  context: JobContext,
  { journal, onUsage }: { readonly journal: RequestJournal | undefined; readonly onUsage: (usage: StepUsage) => void },
): Promise<void> {
  const limits = logLimits(process.env);
  const stdout = new StepLog(context.progress, 1, limits);
  const stderr = new StepLog(context.progress, 2, limits);
  try {
    try {
      await executor.run(undefined, root, mounts, meta, { stdout, stderr }, { signal: context.signal, onUsage });
    } finally {
      const asked = journal?.text ?? '';
      if (asked !== '') stderr.write(asked);
    }
  } catch (error) {
    stdout.showTail();
    stderr.showTail();
    throw wrapError(error, `process ${quote(meta.args.join(' '))} did not complete successfully`);
  } finally {
    stdout.destroy();
    stderr.destroy();
  }
}

/** What the step wrote, fixed, in the order of its mounts. All or none of it is handed out. */
export async function commitOutputs(step: StepMounts): Promise<ImmutableRef[]> {
  const outputs = step.takeOutputs();
  const done: ImmutableRef[] = [];
  try {
    for (const output of outputs) {
      if (output.kind === 'input') {
        done.push(output.ref);
        continue;
      }
      try {
        done.push(await output.ref.commit());
      } catch (error) {
        throw wrapError(error, `error committing ${output.ref.id}`);
      }
    }
  } catch (error) {
    const rest = outputs.slice(done.length).map((output) => output.ref);
    await Promise.allSettled([...done, ...rest].map((ref) => ref.release()));
    throw error;
  }
  return done;
}
