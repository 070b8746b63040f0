/** MergeOp, DiffOp and PassthroughOp: new views of refs that exist; nothing runs and nothing is copied until someone looks. */
import { invalidArgument } from '../base/index.ts';
import { goJson } from '../oci/index.ts';
import type { DiffOp, MergeOp, PassthroughOp } from '../proto/ops.pb.ts';
import type { CacheMap, JobContext, Op, Result, Vertex } from '../solver/types.ts';
import type { CacheAccessor } from '../storage/types.ts';
import { sha256 } from './op-digest.ts';
import { RefResult, refOf } from './ref-result.ts';

export interface RefOpDeps {
  readonly accessor: CacheAccessor;
  readonly workerId: string;
}

type Slot = (signal: AbortSignal) => Promise<() => void>;

function cacheMap(vertex: Vertex, json: string): { map: CacheMap; done: boolean } {
  return { map: { digest: sha256(json), deps: vertex.inputs.map(() => ({})) }, done: true };
}

/** Input numbers are int64 on the wire; -1 (pb.Empty) is scratch. */
function inputAt(inputs: readonly Result[], index: bigint, what: string): Result | undefined {
  if (index === -1n) return undefined;
  if (index < 0n || index >= BigInt(inputs.length)) throw invalidArgument(`invalid ${what} input index ${index}`);
  return inputs[Number(index)];
}

export function createMergeOp(deps: RefOpDeps, vertex: Vertex, op: MergeOp, slot: Slot): Op {
  return {
    // Upstream hashes the Go struct {Type, Merge}; MergeInput's only field is left out when 0.
    async cacheMap() {
      const inputs = op.inputs.map((i) => (i.input === 0n ? '{}' : `{"input":${i.input}}`));
      const merge = inputs.length === 0 ? '{}' : `{"inputs":[${inputs.join(',')}]}`;
      return cacheMap(vertex, `{"Type":"buildkit.merge.v0","Merge":${merge}}`);
    },
    async exec(_context: JobContext, inputs: readonly Result[]) {
      const refs = op.inputs
        .map((i) => inputAt(inputs, i.input, 'merge'))
        .flatMap((r) => (r === undefined ? [] : (refOf(r) ?? [])));
      return [new RefResult(deps.workerId, await deps.accessor.merge(refs, { description: vertex.name }))];
    },
    acquire: slot,
  };
}

export function createDiffOp(deps: RefOpDeps, vertex: Vertex, op: DiffOp, slot: Slot): Op {
  const side = (input: bigint | undefined): string =>
    input === undefined ? '' : input === 0n ? '{}' : `{"input":${input}}`;
  return {
    async cacheMap() {
      const fields = [
        op.lower === undefined ? '' : `"lower":${side(op.lower.input)}`,
        op.upper === undefined ? '' : `"upper":${side(op.upper.input)}`,
      ].filter((f) => f !== '');
      return cacheMap(vertex, `{"Type":"buildkit.diff.v0","Diff":{${fields.join(',')}}}`);
    },
    async exec(_context: JobContext, inputs: readonly Result[]) {
      if (op.lower === undefined || op.upper === undefined) {
        throw invalidArgument('invalid diff op with nil lower or upper input');
      }
      const lower = inputAt(inputs, op.lower.input, 'diff');
      const upper = inputAt(inputs, op.upper.input, 'diff');
      const ref = await deps.accessor.diff(lower && refOf(lower), upper && refOf(upper), { description: vertex.name });
      return [new RefResult(deps.workerId, ref)];
    },
    acquire: slot,
  };
}

export function createPassthroughOp(vertex: Vertex, op: PassthroughOp, slot: Slot): Op {
  return {
    async cacheMap() {
      const fields = [
        op.id === '' ? '' : `"id":${goJson(op.id)}`,
        op.outputs.length === 0 ? '' : `"outputs":[${op.outputs.join(',')}]`,
      ].filter((f) => f !== '');
      return cacheMap(vertex, `{"Type":"buildkit.passthrough.v0","Passthrough":{${fields.join(',')}}}`);
    },
    async exec(_context: JobContext, inputs: readonly Result[]) {
      return op.outputs.map((index) => {
        if (index < 0n || index >= BigInt(inputs.length)) {
          throw invalidArgument(`invalid passthrough output input index ${index}`);
        }
        const input = inputs[Number(index)];
        return input.fork();
      });
    },
    acquire: slot,
  };
}
