import { invalidArgument } from '../base/index.ts';
import { startOp } from './constraints.ts';
import type { ConstraintOptions } from './constraints.ts';
import { finishVertex } from './vertex.ts';
import type { MarshalContext, MarshalledVertex, Output, VertexNode } from './vertex.ts';

export class SourceVertex implements VertexNode {
  readonly #identifier: string;
  readonly #attrs: ReadonlyMap<string, string>;
  readonly #caps: readonly string[];
  readonly #options: ConstraintOptions;
  readonly output: Output;

  constructor(
    identifier: string,
    attrs: ReadonlyMap<string, string>,
    caps: readonly string[],
    options: ConstraintOptions,
  ) {
    this.#identifier = identifier;
    this.#attrs = attrs;
    this.#caps = caps;
    this.#options = options;
    this.output = { vertex: this, index: () => 0, platform: options.platform };
  }

  inputs(): readonly Output[] {
    return [];
  }

  marshal(context: MarshalContext): MarshalledVertex {
    const identifier = this.#identifier;
    if (identifier === '') throw invalidArgument("source identifier can't be empty");
    const attrs = new Map(this.#attrs);
    const caps = [...this.#caps];
    if (identifier.startsWith('local://') && !attrs.has('local.session')) {
      attrs.set('local.unique', this.#options.localUniqueId ?? context.constraints.localUniqueId);
      caps.push('source.local.unique');
    }
    const { op, metadata } = startOp(context.constraints, this.#options, caps);
    const hasPlatform = identifier.startsWith('docker-image://') || identifier.startsWith('oci-layout://');
    const platform = hasPlatform ? op.platform : undefined;
    const whole = { ...op, platform, op: { $case: 'source' as const, value: { identifier, attrs } } };
    return finishVertex(whole, metadata, this.#options.locations);
  }
}
