import { invalidArgument } from '../base/index.ts';
import type { FileAction, Op } from '../proto/ops.pb.ts';

function actionName({ action }: FileAction): string | undefined {
  switch (action?.$case) {
    case 'mkdir':
      return `mkdir ${action.value.path}`;
    case 'mkfile':
      return `mkfile ${action.value.path}`;
    case 'symlink':
      return `symlink ${action.value.newpath} -> ${action.value.oldpath}`;
    case 'rm':
      return `rm ${action.value.path}`;
    case 'copy':
      return `copy ${action.value.src} ${action.value.dest}`;
    default:
      return undefined;
  }
}

function diffSide(input: bigint, inputNames: readonly string[]): string {
  if (input === -1n) return 'scratch';
  const name = inputNames[Number(input)];
  if (name === undefined) throw invalidArgument(`invalid diff input index ${input}`);
  return `(${name})`;
}

/** Names of merges of merges would double with every level. */
const MAX_NAME = 4096;

/** What a step is called where its author gave no name. `inputNames` are those of the op's inputs. */
export function vertexName(op: Op, inputNames: readonly string[]): string {
  const name = fullName(op, inputNames);
  return name.length <= MAX_NAME ? name : `${name.slice(0, MAX_NAME - 1)}…`;
}

function fullName(op: Op, inputNames: readonly string[]): string {
  const kind = op.op;
  switch (kind?.$case) {
    case 'source':
      return kind.value.identifier;
    case 'exec':
      return kind.value.meta?.args.join(' ') ?? '';
    case 'file':
      return kind.value.actions
        .map(actionName)
        .filter((n) => n !== undefined)
        .join(', ');
    case 'build':
      return 'build';
    case 'merge':
      return `merge (${inputNames.join(', ')})`;
    case 'diff': {
      const { lower, upper } = kind.value;
      if (lower === undefined || upper === undefined)
        throw invalidArgument('invalid diff op with nil lower or upper input');
      return `diff ${diffSide(lower.input, inputNames)} -> ${diffSide(upper.input, inputNames)}`;
    }
    case 'passthrough':
      return `passthrough ${kind.value.id}`;
    default:
      return 'unknown';
  }
}
