/**
 * FileOp: copies, folders, files, links and removals, as a small graph of actions over the op's inputs. Here it becomes a cache
 * map (whose digest equals upstream's) and results; the work on files is done in a worker thread. Deliberately absent: what
 * COPY and ADD are (frontends/), the rules of copying (files/).
 */
import type { ArchiveLimits } from '../../archive/index.ts';
import type { FileOp } from '../../proto/ops.pb.ts';
import { Remains } from '../../solver/index.ts';
import type { JobContext, Op, Result, Vertex } from '../../solver/types.ts';
import type { CacheAccessor, ContentHasher } from '../../storage/types.ts';
import { systemOf } from '../../systems/index.ts';
import { RefResult, refOf } from '../ref-result.ts';
import { fileCacheMap } from './cache-map.ts';
import { planActions } from './plan.ts';
import { ActionRun } from './run.ts';

export interface FileOpDeps {
  readonly accessor: CacheAccessor;
  readonly hasher: ContentHasher;
  readonly workerId: string;
  /** Of archives that are unpacked. */
  readonly archiveLimits?: Partial<ArchiveLimits>;
}

/** `os`: the system that the files are for. */
export function createFileOp(
  deps: FileOpDeps,
  vertex: Vertex,
  op: FileOp,
  os: string,
  slot: (signal: AbortSignal) => Promise<() => void>,
): Op {
  return {
    async cacheMap() {
      return {
        map: fileCacheMap(deps.hasher, op.actions, vertex.inputs.length, { name: vertex.name, os }),
        done: true,
      };
    },
    async exec(context: JobContext, inputs: readonly Result[]) {
      const plan = planActions(op.actions, inputs.length, systemOf(os).users);
      const run = new ActionRun(deps.accessor, plan, inputs.map(refOf), {
        name: vertex.name,
        context,
        os,
        archiveLimits: deps.archiveLimits,
        keep: (index, made) =>
          new Remains({
            inputs: inputs.map((input) => input.fork()),
            made: made.map((ref) => ref && new RefResult(deps.workerId, ref)),
            subject: { kind: 'file', index },
          }),
      });
      const outputs = await run.outputs();
      return outputs.map((ref) => new RefResult(deps.workerId, ref));
    },
    acquire: slot,
  };
}
