/** Nodes of the graph that a State describes, before it is bytes. */
import { hash } from 'node:crypto';
import type { Platform } from '../oci/index.ts';
import type { Input, Op, OpMetadata } from '../proto/ops.pb.ts';
import type { Constraints } from './constraints.ts';
import { encodeOp } from './encode-op.ts';
import type { SourceLocation } from './source-map.ts';

export interface MarshalledVertex {
  readonly digest: string;
  readonly bytes: Uint8Array;
  readonly metadata: OpMetadata;
  readonly locations: readonly SourceLocation[];
}

/** One of the results of a vertex. */
export interface Output {
  readonly vertex: VertexNode;
  /** Throws where the output cannot be built on. */
  index(): number;
  /** What the output is made for, when its op said so. */
  readonly platform?: Platform;
}

export interface VertexNode {
  inputs(): readonly Output[];
  /** Inputs are marshalled already: `context.input` only looks them up. */
  marshal(context: MarshalContext): MarshalledVertex;
}

/** One marshalling: each vertex becomes bytes once. */
export class MarshalContext {
  readonly constraints: Constraints;
  readonly #done = new Map<VertexNode, MarshalledVertex>();

  constructor(constraints: Constraints) {
    this.constraints = constraints;
  }

  /** Everything that the vertex needs, inputs first, each once. Walks with a stack of its own: chains may be long. */
  marshalAll(top: VertexNode): MarshalledVertex[] {
    const order: MarshalledVertex[] = [];
    const stack: Array<{ vertex: VertexNode; inputs: readonly Output[]; next: number }> = [];
    const seen = new Set<VertexNode>();
    const push = (vertex: VertexNode): void => {
      if (seen.has(vertex)) return;
      seen.add(vertex);
      stack.push({ vertex, inputs: vertex.inputs(), next: 0 });
    };
    push(top);
    while (stack.length > 0) {
      const frame = stack[stack.length - 1];
      if (frame.next < frame.inputs.length) {
        push(frame.inputs[frame.next++].vertex);
        continue;
      }
      stack.pop();
      const marshalled = frame.vertex.marshal(this);
      this.#done.set(frame.vertex, marshalled);
      order.push(marshalled);
    }
    return order;
  }

  input(output: Output): Input {
    const done = this.#done.get(output.vertex);
    if (done === undefined) throw new Error('input was not marshalled before its vertex');
    return { digest: done.digest, index: BigInt(output.index()) };
  }
}

export function finishVertex(
  op: Op,
  metadata: OpMetadata,
  locations: readonly SourceLocation[] = [],
): MarshalledVertex {
  const bytes = encodeOp(op);
  return { digest: `sha256:${hash('sha256', bytes)}`, bytes, metadata, locations };
}

/** Where in `inputs` the input is; it is added when it is new. */
export function addInput(inputs: Input[], input: Input): number {
  const at = inputs.findIndex((i) => i.digest === input.digest && i.index === input.index);
  return at >= 0 ? at : inputs.push(input) - 1;
}
