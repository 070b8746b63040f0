/**
 * What a simulated build is about: vertices of a few kinds, so that many have equal keys and many contents are equal, and
 * what each of them makes when it is built alone.
 */
import { createHash } from 'node:crypto';
import type { Chance } from './chance.ts';

/** What is used of an input: all of it or one of its two halves. */
export type Part = 'all' | 'a' | 'b';

export interface KindInput {
  readonly part: Part;
  /** The cache is also asked by the content of the part. */
  readonly content: boolean;
  readonly preprocess: boolean;
}

/** All that a result depends on beside its inputs. Vertices of one kind with equal inputs make equal results. */
export interface Kind {
  readonly id: number;
  readonly inputs: readonly KindInput[];
  readonly outputs: number;
  /** Of a kind without inputs: kinds of one origin make the same, and tell so by their second key. */
  readonly origin?: number;
  /** Its key is another one in each daemon and never kept. */
  readonly random: boolean;
  /** Builds that node in its place. */
  readonly nested?: Node;
  readonly facets: number;
}

export interface NodeInput {
  readonly node: Node;
  readonly output: number;
}

export interface Node {
  readonly name: string;
  readonly kind: Kind;
  readonly inputs: readonly NodeInput[];
}

export function sha256(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

export function partOf(content: string, part: Part): string {
  if (part === 'all') return content;
  const [a, b] = content.split('/');
  return part === 'a' ? a : b;
}

/** What a run makes of the contents of its inputs: few different ones, in two halves. */
export function make(kind: Kind, inputs: readonly string[], output: number): string {
  const used = inputs.map((content, i) => partOf(content, kind.inputs[i].part));
  const from = kind.origin === undefined ? `kind ${kind.id}` : `origin ${kind.origin}`;
  const hash = createHash('sha256')
    .update(JSON.stringify([from, used, output]))
    .digest();
  return `${hash[0] % kind.facets}/${hash[1] % kind.facets}`;
}

/** The result of an output of the node when it is built alone. */
export function alone(node: Node, output: number): string {
  if (node.kind.nested !== undefined) return alone(node.kind.nested, 0);
  return make(
    node.kind,
    node.inputs.map((input) => alone(input.node, input.output)),
    output,
  );
}

/** The node and all that it is made from, also inside nested builds. */
export function below(node: Node, seen = new Set<Node>()): Set<Node> {
  if (seen.has(node)) return seen;
  seen.add(node);
  for (const input of node.inputs) below(input.node, seen);
  if (node.kind.nested !== undefined) below(node.kind.nested, seen);
  return seen;
}

function kindInput(r: Chance): KindInput {
  const content = r.chance(0.4);
  return { part: r.pick(['all', 'all', 'a', 'b']), content, preprocess: r.chance(0.2) };
}

/** Inputs before those that use them. */
export function makePlot(r: Chance): readonly Node[] {
  let next = 0;
  const facets = r.pick([1, 2, 3, 8]);
  const common = { outputs: 1, random: false, facets };
  const roots: Kind[] = Array.from({ length: 1 + r.below(4) }, () => ({
    ...common,
    id: next++,
    inputs: [],
    outputs: r.chance(0.2) ? 2 : 1,
    ...(r.chance(0.5) ? { origin: r.below(2) } : {}),
    random: r.chance(0.2),
  }));
  const steps: Kind[] = Array.from({ length: 2 + r.below(5) }, () => ({
    ...common,
    id: next++,
    inputs: Array.from({ length: 1 + r.below(3) }, () => kindInput(r)),
    outputs: r.chance(0.2) ? 2 : 1,
  }));
  const nodes: Node[] = [];
  const add = (kind: Kind): void => {
    const inputs = kind.inputs.map(() => {
      const node = r.chance(0.5) ? nodes[Math.max(0, nodes.length - 1 - r.below(3))] : r.pick(nodes);
      return { node, output: r.below(node.kind.outputs) };
    });
    nodes.push({ name: `n${nodes.length}`, kind, inputs });
  };
  for (let i = 1 + r.below(4); i > 0; i--) add(r.pick(roots));
  for (let i = 3 + r.below(8); i > 0; i--) add(r.pick(r.chance(0.15) ? roots : steps));
  if (r.chance(0.4)) {
    const nested: Kind[] = Array.from({ length: 1 + r.below(2) }, () => ({
      ...common,
      id: next++,
      inputs: [{ part: 'all', content: r.chance(0.3), preprocess: false }],
      nested: r.pick(nodes),
    }));
    for (let i = 1 + r.below(4); i > 0; i--) add(r.pick(r.chance(0.5) ? nested : steps));
  }
  return nodes;
}
