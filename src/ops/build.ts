/** BuildOp: an input holds a marshalled definition in a file; it is loaded and built in the op's place. */
import { constants, openSync, closeSync, fstatSync, readFileSync } from 'node:fs';
import { internal, invalidArgument, isNotFound, notFound, wrapError } from '../base/index.ts';
import { resolveInRoot } from '../host/index.ts';
import { goJson } from '../oci/index.ts';
import { Definition } from '../proto/ops.pb.ts';
import type { BuildOp } from '../proto/ops.pb.ts';
import type { StepFacts } from '../attest/index.ts';
import type { JobContext, Op, Result, Vertex } from '../solver/types.ts';
import { mountLocally } from '../storage/index.ts';
import { sha256 } from './op-digest.ts';
import { refOf } from './ref-result.ts';

/** Builds a definition below the job that runs the op; the result is the caller's. */
export type NestedBuild = (definition: Definition, context: JobContext) => Promise<Result>;

const DEFINITION_INPUT = 'buildkit.llb.definition';
const DEFINITION_FILE = 'buildkit.llb.definition';
const FILENAME_ATTR = 'llbbuild.filename';
const LLB_BUILDER = -1n;
/** A definition is a graph, not data: more than this is not one. */
const MAX_DEFINITION_BYTES = 64 * 2 ** 20;

function cacheJson(op: BuildOp): string {
  const fields: string[] = [];
  if (op.builder !== 0n) fields.push(`"builder":${op.builder}`);
  const sorted = <V>(map: ReadonlyMap<string, V>): [string, V][] => [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (op.inputs.size > 0) {
    const inputs = sorted(op.inputs).map(([k, v]) => `${goJson(k)}:${v.input === 0n ? '{}' : `{"input":${v.input}}`}`);
    fields.push(`"inputs":{${inputs.join(',')}}`);
  }
  if (op.def !== undefined) throw invalidArgument('build op with an inner definition is not supported');
  if (op.attrs.size > 0) {
    fields.push(
      `"attrs":{${sorted(op.attrs)
        .map(([k, v]) => `${goJson(k)}:${goJson(v)}`)
        .join(',')}}`,
    );
  }
  return `{"Type":"buildkit.build.v0","Exec":{${fields.join(',')}}}`;
}

function readDefinition(root: string, name: string): Definition {
  let path: string;
  try {
    path = resolveInRoot(root, name);
  } catch (error) {
    throw wrapError(error, `working dir ${name} points to invalid target`);
  }
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isNotFound(error)) throw notFound(`failed to open ${name}: no such file or directory`, { cause: error });
    throw wrapError(error, `failed to open ${name}`);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw invalidArgument(`${name} is not a regular file`);
    if (stat.size > MAX_DEFINITION_BYTES)
      throw invalidArgument(`${name} is too large for a definition: ${stat.size} bytes`);
    const bytes = readFileSync(fd);
    try {
      return Definition.decode(bytes);
    } catch (error) {
      throw invalidArgument(`failed to parse llb definition ${name}: ${(error as Error).message}`, { cause: error });
    }
  } finally {
    closeSync(fd);
  }
}

export function createBuildOp(
  nested: NestedBuild,
  vertex: Vertex,
  op: BuildOp,
  slot: (signal: AbortSignal) => Promise<() => void>,
): Op {
  return {
    async cacheMap() {
      return { map: { digest: sha256(cacheJson(op)), deps: vertex.inputs.map(() => ({})) }, done: true };
    },
    async exec(context: JobContext, inputs: readonly Result[]) {
      if (op.builder !== LLB_BUILDER) throw invalidArgument('only LLB builder is currently allowed');
      const input = op.inputs.get(DEFINITION_INPUT);
      if (input === undefined) throw invalidArgument(`no llb definition input ${DEFINITION_INPUT} found`);
      if (input.input < 0n || input.input >= BigInt(inputs.length))
        throw invalidArgument(`invalid index ${input.input}`);
      const ref = refOf(inputs[Number(input.input)]);
      if (ref === undefined) throw invalidArgument('invalid reference for build: empty input');
      const mounted = await mountLocally(ref, { readonly: true });
      let definition: Definition;
      try {
        definition = readDefinition(mounted.dir, op.attrs.get(FILENAME_ATTR) ?? DEFINITION_FILE);
      } finally {
        await mounted.release();
      }
      const result = await nested(definition, context);
      if (result === undefined) throw internal('nested build returned nothing');
      return [result];
    },
    acquire: slot,
    // What the inner definition is made from is not followed.
    facts: () => ({ incomplete: true }) satisfies StepFacts,
  };
}
