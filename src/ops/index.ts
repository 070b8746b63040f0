/**
 * LLB ops become solver ops: a vertex' `sys` is an {@link LlbOp}, and {@link createOpResolver} gives the engine what
 * runs it. Deliberately absent: loading and checking definitions (build/), what content is (sources/, storage/).
 */
import { BuildError, Code, Semaphore } from '../base/index.ts';
import type { Platform } from '../oci/types.ts';
import type { Op as PbOp } from '../proto/ops.pb.ts';
import type { Op, ResolveOp, Vertex } from '../solver/types.ts';
import { createBuildOp } from './build.ts';
import type { NestedBuild } from './build.ts';
import { createExecOp } from './exec/index.ts';
import type { ExecOpDeps } from './exec/index.ts';
import { createFileOp } from './file/index.ts';
import type { FileOpDeps } from './file/index.ts';
import { createDiffOp, createMergeOp, createPassthroughOp } from './merge-diff.ts';
import { createSourceOp } from './source.ts';
import type { SourceSet } from './source.ts';

export {
  checkRunnable,
  defaultPath,
  dropCacheMounts,
  processMeta,
  secretEnvironment,
  StepMounts,
} from './exec/index.ts';
export type { StepContext } from './exec/index.ts';
export { RefResult, refOf } from './ref-result.ts';
export { SourceSet } from './source.ts';
export type { NestedBuild } from './build.ts';
export { sha256 } from './op-digest.ts';

/** What a vertex carries through the solver. */
export interface LlbOp {
  readonly op: PbOp;
  /** Normalised; the daemon's own where the op names none. */
  readonly platform: Platform;
  /** An exec whose requests go through a proxy. */
  readonly isProxied?: boolean;
}

export interface OpDeps extends ExecOpDeps, FileOpDeps {
  readonly sources: SourceSet;
  readonly nestedBuild: NestedBuild;
  /** Steps that may run at once; 0 is no limit. */
  readonly maxParallelism: number;
}

export function createOpResolver(deps: OpDeps): ResolveOp {
  const slots = new Semaphore(deps.maxParallelism);
  const limited = (signal: AbortSignal): Promise<() => void> => slots.acquire(signal);
  const free = async (): Promise<() => void> => () => {};
  return (vertex: Vertex): Op => {
    const { op: message, platform, isProxied } = vertex.sys as LlbOp;
    const op = message.op;
    switch (op?.$case) {
      case 'source':
        return createSourceOp(deps, op.value.identifier, op.value.attrs, platform, limited);
      case 'exec':
        return createExecOp(deps, vertex, op.value, platform, limited, isProxied);
      case 'file':
        return createFileOp(deps, vertex, op.value, platform.os, limited);
      case 'build':
        return createBuildOp(deps.nestedBuild, vertex, op.value, free);
      case 'merge':
        return createMergeOp(deps, vertex, op.value, free);
      case 'diff':
        return createDiffOp(deps, vertex, op.value, free);
      case 'passthrough':
        return createPassthroughOp(vertex, op.value, free);
      default:
        throw new BuildError(Code.InvalidArgument, `could not resolve ${vertex.name}: unknown op`);
    }
  };
}
