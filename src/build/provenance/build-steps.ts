/** A definition as provenance shows it: its ops one by one, inputs before those who use them. */
import { invalidArgument } from '../../base/index.ts';
import type { BuildDetails } from '../../attest/index.ts';
import { locationsJson, opJson } from '../../llb/index.ts';
import { digestOf } from '../../oci/index.ts';
import type { GoJsonValue } from '../../oci/index.ts';
import { Op } from '../../proto/ops.pb.ts';
import type { Definition } from '../../proto/ops.pb.ts';

/** Attributes that name the client's session. */
const SESSION_ATTRS = ['local.session', 'local.unique'];

/** Ops' digests and the numbers of their steps. */
export type StepNumbers = ReadonlyMap<string, number>;

interface Steps {
  readonly steps: readonly GoJsonValue[];
  readonly numbers: StepNumbers;
}

function decode(bytes: Uint8Array): Op {
  const op = Op.decode(bytes);
  if (op.op?.$case === 'source') for (const key of SESSION_ATTRS) op.op.value.attrs.delete(key);
  return op;
}

/** From the inputs up, each once: the first input first. */
function inOrder(ops: ReadonlyMap<string, Op>, last: string): string[] {
  const order: string[] = [];
  const seen = new Set<string>();
  const stack: { digest: string; leaving: boolean }[] = [{ digest: last, leaving: false }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { digest, leaving } = top;
    if (leaving) {
      order.push(digest);
      continue;
    }
    if (seen.has(digest)) continue;
    seen.add(digest);
    const op = ops.get(digest);
    if (op === undefined) throw invalidArgument(`failed to find input ${digest}`);
    stack.push({ digest, leaving: true });
    for (const input of op.inputs.toReversed()) stack.push({ digest: input.digest, leaving: false });
  }
  return order;
}

type Usage = ReadonlyMap<string, unknown>;
const NO_USAGE: Usage = new Map();

function stepsOf(definition: Definition | undefined, usage: Usage): Steps | undefined {
  if (definition === undefined || definition.def.length === 0) return undefined;
  const ops = new Map(definition.def.map((bytes) => [digestOf(bytes) as string, decode(bytes)]));
  const last = [...ops.keys()].at(-1) as string;
  const head = ops.get(last) as Op;
  if (head.op !== undefined) throw invalidArgument(`invalid last vertex: ${head.op.$case}`);
  if (head.inputs.length !== 1) throw invalidArgument(`invalid last vertex inputs: ${head.inputs.length}`);
  const order = inOrder(ops, last);
  const numbers = new Map(order.map((digest, i) => [digest, i]));
  const steps = order.map((digest, i) => {
    const op = ops.get(digest) as Op;
    const inputs = op.inputs.map((input) => `step${numbers.get(input.digest)}:${input.index}`);
    return {
      id: `step${i}`,
      op: opJson({ ...op, inputs: [] }),
      inputs: inputs.length === 0 ? undefined : inputs,
      resourceUsage: usage.get(digest) as GoJsonValue | undefined,
    };
  });
  return { steps, numbers };
}

function configJson(steps: Steps | undefined): { llbDefinition?: GoJsonValue; digestMapping?: GoJsonValue } {
  if (steps === undefined) return {};
  const names = new Map([...steps.numbers].map(([digest, number]) => [digest, `step${number}`]));
  return { llbDefinition: steps.steps, digestMapping: names };
}

function sourceJson({ Source: source }: Definition, numbers: StepNumbers): GoJsonValue | undefined {
  if (source === undefined || source.infos.length === 0) return undefined;
  const locations = new Map<string, GoJsonValue>();
  for (const [digest, found] of source.locations) {
    const number = numbers.get(digest);
    if (number !== undefined) locations.set(`step${number}`, locationsJson(found));
  }
  return {
    locations: locations.size === 0 ? undefined : locations,
    infos: source.infos.map(({ filename, language, data, definition }) => ({
      filename: filename || undefined,
      language: language || undefined,
      data: data.length === 0 ? undefined : data,
      ...configJson(stepsOf(definition, NO_USAGE)),
    })),
  };
}

/** The whole definition of a result, with the files that it was written in. `usage`: of steps, by their digests. */
export function describeBuild(
  definition: Definition,
  usage: Usage = NO_USAGE,
): Omit<BuildDetails, 'layers' | 'sysUsage'> & { readonly numbers: StepNumbers } {
  const steps = stepsOf(definition, usage);
  const numbers = steps?.numbers ?? new Map<string, number>();
  return { buildConfig: configJson(steps), source: sourceJson(definition, numbers), numbers };
}
