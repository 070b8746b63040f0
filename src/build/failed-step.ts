/** The step that an error is about, and what can still be looked at of it: what errdefs.Solve tells a client. */
import { jsonDetail } from '../base/index.ts';
import type { BuildError } from '../base/index.ts';
import { platformToPb, protoJson } from '../llb/index.ts';
import type { LlbOp } from '../ops/index.ts';
import type { Solve } from '../proto/errdefs.pb.ts';
import type { Op } from '../proto/ops.pb.ts';
import { Remains } from '../solver/index.ts';
import type { Result, Vertex } from '../solver/index.ts';

/** An error's details share some 46 KiB: an op with whole files in it would push out the ids. */
const MAX_SOLVE_JSON = 24 << 10;

/** The attachment of errors of steps. */
export class FailedStep {
  readonly op: Op;
  readonly description: ReadonlyMap<string, string>;
  /** The vertex' own. */
  readonly remains: Remains | undefined;

  constructor(op: Op, description: ReadonlyMap<string, string>, remains: Remains | undefined) {
    this.op = op;
    this.description = description;
    this.remains = remains;
  }
}

/** The solver's hook: in a nested build the inner step is the one that failed. */
export function describeStep(error: BuildError, vertex: Vertex): BuildError {
  const { attachment } = error;
  if (attachment instanceof FailedStep) return error;
  const { op, platform } = vertex.sys as LlbOp;
  const description = vertex.options.description ?? new Map<string, string>();
  const remains = attachment instanceof Remains ? attachment : undefined;
  return error.withAttachment(new FailedStep({ ...op, platform: platformToPb(platform) }, description, remains));
}

function subjectOf(remains: Remains | undefined): Solve['subject'] {
  const subject = remains?.subject;
  return subject && { $case: subject.kind, value: { index: BigInt(subject.index) } };
}

/**
 * The error with errdefs.Solve. `register` makes a result usable and returns its id; ids that another gateway gave are
 * nobody's here.
 */
export function withSolveDetail(error: BuildError, register: (result: Result) => string): BuildError {
  const step = error.attachment instanceof FailedStep ? error.attachment : undefined;
  if (step === undefined) {
    const known = error.findDetail('errdefs.Solve') as object | undefined;
    return error.replaceDetail(jsonDetail('errdefs.Solve', { ...known, inputIDs: undefined, mountIDs: undefined }));
  }
  const ids = (results: readonly (Result | undefined)[] = []): string[] =>
    results.map((result) => (result === undefined ? '' : register(result)));
  const solve: Solve = {
    inputIDs: ids(step.remains?.inputs),
    mountIDs: ids(step.remains?.made),
    op: step.op,
    subject: subjectOf(step.remains),
    description: new Map(step.description),
  };
  const isLarge = JSON.stringify(protoJson(solve)).length > MAX_SOLVE_JSON;
  return error.replaceDetail(jsonDetail('errdefs.Solve', protoJson(isLarge ? { ...solve, op: undefined } : solve)));
}
