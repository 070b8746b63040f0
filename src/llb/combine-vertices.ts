/** Vertices that make views of others: merge, diff, passthrough. None is of a platform. */
import { invalidArgument } from '../base/index.ts';
import type { Op } from '../proto/ops.pb.ts';
import { startOp } from './constraints.ts';
import type { ConstraintOptions } from './constraints.ts';
import { finishVertex } from './vertex.ts';
import type { MarshalContext, MarshalledVertex, Output, VertexNode } from './vertex.ts';

abstract class CombiningVertex implements VertexNode {
  readonly #inputs: readonly Output[];
  readonly #options: ConstraintOptions;
  readonly #cap: string;
  readonly output: Output;

  constructor(inputs: readonly Output[], options: ConstraintOptions, cap: string) {
    this.#inputs = inputs;
    this.#options = options;
    this.#cap = cap;
    this.output = { vertex: this, index: () => 0 };
  }

  inputs(): readonly Output[] {
    return this.#inputs;
  }

  abstract kind(): Op['op'];

  marshal(context: MarshalContext): MarshalledVertex {
    const { op, metadata } = startOp(context.constraints, this.#options, [this.#cap]);
    const inputs = this.#inputs.map((o) => context.input(o));
    return finishVertex({ ...op, platform: undefined, inputs, op: this.kind() }, metadata, this.#options.locations);
  }
}

export class MergeVertex extends CombiningVertex {
  constructor(inputs: readonly Output[], options: ConstraintOptions) {
    super(inputs, options, 'mergeop');
  }

  kind(): Op['op'] {
    return { $case: 'merge', value: { inputs: this.inputs().map((_, i) => ({ input: BigInt(i) })) } };
  }
}

export class DiffVertex extends CombiningVertex {
  readonly #hasLower: boolean;
  readonly #hasUpper: boolean;

  constructor(lower: Output | undefined, upper: Output | undefined, options: ConstraintOptions) {
    super(
      [lower, upper].filter((o) => o !== undefined),
      options,
      'diffop',
    );
    this.#hasLower = lower !== undefined;
    this.#hasUpper = upper !== undefined;
  }

  kind(): Op['op'] {
    const upper = this.#hasUpper ? (this.#hasLower ? 1n : 0n) : -1n;
    return { $case: 'diff', value: { lower: { input: this.#hasLower ? 0n : -1n }, upper: { input: upper } } };
  }
}

export class PassthroughVertex extends CombiningVertex {
  readonly #id: string;

  /** The first input is the output. */
  constructor(id: string, inputs: readonly Output[], options: ConstraintOptions) {
    if (id === '') throw invalidArgument('passthrough requires an id');
    super(inputs, options, 'passthroughop');
    this.#id = id;
  }

  kind(): Op['op'] {
    return { $case: 'passthrough', value: { id: this.#id, outputs: [0n] } };
  }
}
