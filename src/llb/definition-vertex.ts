/** A vertex of a definition that came as bytes, so that a State can go on from it. */
import { hash } from 'node:crypto';
import { BuildError, Code, invalidArgument } from '../base/index.ts';
import { Op } from '../proto/ops.pb.ts';
import type { Definition, OpMetadata } from '../proto/ops.pb.ts';
import { platformFromPb } from './constraints.ts';
import type { SourceLocation, SourceMap } from './source-map.ts';
import type { MarshalledVertex, Output, VertexNode } from './vertex.ts';

interface LoadedOp {
  readonly op: Op;
  readonly bytes: Uint8Array;
  readonly metadata: OpMetadata | undefined;
  readonly locations: readonly SourceLocation[];
}

const MAX_INDEX = 65_535n;

class DefinitionVertex implements VertexNode {
  readonly #graph: DefinitionGraph;
  readonly #digest: string;

  constructor(graph: DefinitionGraph, digest: string) {
    this.#graph = graph;
    this.#digest = digest;
  }

  inputs(): readonly Output[] {
    return this.#graph.find(this.#digest).op.inputs.map((input) => this.#graph.output(input.digest, input.index));
  }

  marshal(): MarshalledVertex {
    const { bytes, metadata, locations } = this.#graph.find(this.#digest);
    if (metadata === undefined) throw invalidArgument(`invalid definition op with unknown metas "${this.#digest}"`);
    return { digest: this.#digest, bytes, metadata, locations };
  }
}

class DefinitionGraph {
  readonly #ops = new Map<string, LoadedOp>();
  readonly #vertices = new Map<string, DefinitionVertex>();

  add(digest: string, op: LoadedOp): void {
    this.#ops.set(digest, op);
  }

  find(digest: string): LoadedOp {
    const found = this.#ops.get(digest);
    if (found === undefined) throw invalidArgument(`invalid definition op with unknown op "${digest}"`);
    return found;
  }

  output(digest: string, index: bigint): Output {
    if (index < 0n || index > MAX_INDEX) throw invalidArgument('invalid definition op with invalid index');
    let vertex = this.#vertices.get(digest);
    if (vertex === undefined) this.#vertices.set(digest, (vertex = new DefinitionVertex(this, digest)));
    const { platform } = this.find(digest).op;
    return {
      vertex,
      index: () => Number(index),
      ...(platform === undefined ? {} : { platform: platformFromPb(platform) }),
    };
  }
}

function locationsOf(definition: Definition): Map<string, SourceLocation[]> {
  const maps = (definition.Source?.infos ?? []).map((info): SourceMap => ({
    filename: info.filename,
    language: info.language,
    data: info.data,
    ...(info.definition === undefined ? {} : { definition: info.definition }),
  }));
  const found = new Map<string, SourceLocation[]>();
  for (const [digest, { locations }] of definition.Source?.locations ?? []) {
    const list = locations.map((l) => {
      const map = maps[l.sourceIndex];
      if (map === undefined) throw invalidArgument(`failed to find source map with index ${l.sourceIndex}`);
      return { map, ranges: l.ranges };
    });
    found.set(digest, list);
  }
  return found;
}

/** The output that the definition stands for; undefined for scratch. Throws InvalidArgument. */
export function definitionOutput(definition: Definition): Output | undefined {
  const graph = new DefinitionGraph();
  const locations = locationsOf(definition);
  let last: Op | undefined;
  for (const bytes of definition.def) {
    try {
      last = Op.decode(bytes);
    } catch (error) {
      throw new BuildError(Code.InvalidArgument, `failed to parse llb proto op: ${(error as Error).message}`, {
        cause: error,
      });
    }
    const digest = `sha256:${hash('sha256', bytes)}`;
    const metadata = definition.metadata.get(digest);
    graph.add(digest, { op: last, bytes, metadata, locations: locations.get(digest) ?? [] });
  }
  if (last === undefined) return undefined;
  const head = last.inputs[0];
  if (head === undefined) throw invalidArgument('invalid LLB with no inputs on last vertex');
  return graph.output(head.digest, head.index);
}
