/** What an op must have before anything looks at it. Messages are upstream's where it has one (solver/llbsolver/ops/opsutils). */
import { invalidArgument } from '../base/index.ts';
import { MountContentCache, MountType, NetMode, SecurityMode } from '../proto/ops.pb.ts';
import type { DiffOp, ExecOp, FileOp, MergeOp, Mount, Op, PassthroughOp } from '../proto/ops.pb.ts';

/** The input of what starts from nothing; the output of what is not kept. */
const NONE = -1n;

function checkInput(what: string, input: bigint, count: number): void {
  if (input < NONE || input >= BigInt(count)) throw invalidArgument(`invalid ${what} input index ${input}`);
}

function checkUsed(what: string, used: ReadonlySet<bigint>, count: number): void {
  for (let i = 0; i < count; i++)
    if (!used.has(BigInt(i))) throw invalidArgument(`invalid ${what} with unused input ${i}`);
}

function oneOf(values: Readonly<Record<string, number>>, value: number): boolean {
  return value >= 0 && Object.values(values).includes(value);
}

function checkMount(mount: Mount): void {
  if (!oneOf(MountType, mount.mountType)) throw invalidArgument(`mount type ${mount.mountType} not implemented`);
  if (!oneOf(MountContentCache, mount.contentCache))
    throw invalidArgument(`invalid mount content cache ${mount.contentCache}`);
  if (mount.output < NONE) throw invalidArgument(`invalid mount output index ${mount.output}`);
  if (mount.mountType === MountType.CACHE && mount.cacheOpt === undefined)
    throw invalidArgument('missing cache mount options');
  if (mount.mountType === MountType.SECRET && mount.secretOpt === undefined)
    throw invalidArgument('invalid secret mount options');
  if (mount.mountType === MountType.SSH && mount.SSHOpt === undefined)
    throw invalidArgument('invalid ssh mount options');
  if ((mount.TmpfsOpt?.size ?? 0n) < 0n) throw invalidArgument(`invalid tmpfs size ${mount.TmpfsOpt?.size}`);
}

function validateExec(exec: ExecOp, inputs: number): void {
  if (exec.meta === undefined) throw invalidArgument('invalid exec op with no meta');
  if (exec.meta.args.length === 0) throw invalidArgument('invalid exec op with no args');
  if (exec.mounts.length === 0) throw invalidArgument('invalid exec op with no mounts');
  if (!exec.mounts.some((m) => m.dest === '/')) throw invalidArgument('invalid exec op with no rootfs');
  if (!oneOf(NetMode, exec.network)) throw invalidArgument(`invalid network mode ${exec.network}`);
  if (!oneOf(SecurityMode, exec.security)) throw invalidArgument(`invalid security mode ${exec.security}`);
  const used = new Set<bigint>();
  const outputs = new Set<bigint>();
  for (const mount of exec.mounts) {
    checkMount(mount);
    checkInput('mount', mount.input, inputs);
    used.add(mount.input);
    if (mount.mountType !== MountType.BIND || mount.output === NONE) continue;
    if (outputs.has(mount.output) || mount.output >= BigInt(exec.mounts.length)) {
      throw invalidArgument(`invalid mount output index ${mount.output} of ${mount.dest}`);
    }
    outputs.add(mount.output);
  }
  checkUsed('exec op', used, inputs);
}

function validateFile(file: FileOp, inputs: number): void {
  if (file.actions.length === 0) throw invalidArgument('invalid file op with no actions');
  for (const [i, action] of file.actions.entries()) {
    if (action.action === undefined) throw invalidArgument(`invalid file op with unknown action ${i}`);
    // Whatever follows the op's inputs are the actions before this one.
    checkInput('file action', action.input, inputs + i);
    if (action.action.$case === 'copy') checkInput('file action', action.secondaryInput, inputs + i);
    if (action.output < NONE || action.output >= BigInt(file.actions.length)) {
      throw invalidArgument(`invalid file action output index ${action.output}`);
    }
  }
}

function validateMerge(merge: MergeOp, inputs: number): void {
  const used = new Set<bigint>();
  for (const { input } of merge.inputs) {
    checkInput('merge op', input, inputs);
    used.add(input);
  }
  checkUsed('merge op', used, inputs);
}

function validateDiff(diff: DiffOp, inputs: number): void {
  if (diff.lower === undefined || diff.upper === undefined) {
    throw invalidArgument('invalid diff op with nil lower or upper input');
  }
  checkInput('diff op', diff.lower.input, inputs);
  checkInput('diff op', diff.upper.input, inputs);
  checkUsed('diff op', new Set([diff.lower.input, diff.upper.input]), inputs);
}

function validatePassthrough(op: PassthroughOp, inputs: number): void {
  if (op.id === '') throw invalidArgument('invalid passthrough op with no id');
  if (op.outputs.length === 0) throw invalidArgument('invalid passthrough op with no outputs');
  for (const input of op.outputs) {
    if (input < 0n || input >= BigInt(inputs)) throw invalidArgument(`invalid passthrough output input index ${input}`);
  }
}

/** Throws InvalidArgument. An op without a kind passes: whoever resolves it says that nobody knows it. */
export function validateOp(op: Op): void {
  const inputs = op.inputs.length;
  switch (op.op?.$case) {
    case 'exec':
      return validateExec(op.op.value, inputs);
    case 'file':
      return validateFile(op.op.value, inputs);
    case 'merge':
      return validateMerge(op.op.value, inputs);
    case 'diff':
      return validateDiff(op.op.value, inputs);
    case 'passthrough':
      return validatePassthrough(op.op.value, inputs);
    case 'source':
      if (inputs > 0) throw invalidArgument('invalid source op with inputs');
      return undefined;
    case 'build':
      for (const { input } of op.op.value.inputs.values()) checkInput('build op', input, inputs);
      return undefined;
    default:
      return undefined;
  }
}
