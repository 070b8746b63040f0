import { hash } from 'node:crypto';
import { Op } from '../proto/ops.pb.ts';
import type { Definition, OpMetadata } from '../proto/ops.pb.ts';
import { makeConstraints, mergeMetadata } from './constraints.ts';
import type { MarshalOptions } from './constraints.ts';
import { SourceMapCollector } from './source-map.ts';
import { MarshalContext } from './vertex.ts';
import type { Output } from './vertex.ts';

/** Capabilities that the terminal op asks for, because of what others say of themselves. */
function terminalCaps(all: Iterable<OpMetadata>): Map<string, boolean> {
  const caps = new Map([
    ['constraints', true],
    ['platform', true],
  ]);
  for (const m of all) {
    if (m.ignoreCache) caps.set('meta.ignorecache', true);
    if (m.description.size > 0) caps.set('meta.description', true);
    if (m.exportCache !== undefined) caps.set('meta.exportcache', true);
  }
  return caps;
}

/** Scratch is a definition without ops. */
export function marshalOutput(output: Output | undefined, options: MarshalOptions): Definition {
  if (output === undefined) return { def: [], metadata: new Map(), Source: undefined };
  const context = new MarshalContext(makeConstraints(options));
  const def: Uint8Array[] = [];
  const metadata = new Map<string, OpMetadata>();
  const sources = new SourceMapCollector();
  const seen = new Set<string>();
  for (const vertex of context.marshalAll(output.vertex)) {
    metadata.set(vertex.digest, mergeMetadata(metadata.get(vertex.digest), vertex.metadata));
    sources.add(vertex.digest, vertex.locations);
    if (seen.has(vertex.digest)) continue;
    seen.add(vertex.digest);
    def.push(vertex.bytes);
  }
  const terminal: Op = { inputs: [context.input(output)], op: undefined, platform: undefined, constraints: undefined };
  const bytes = Op.encode(terminal).finish();
  def.push(bytes);
  metadata.set(`sha256:${hash('sha256', bytes)}`, {
    ignoreCache: false,
    description: new Map(),
    exportCache: undefined,
    caps: terminalCaps(metadata.values()),
    progressGroup: undefined,
    linuxResources: undefined,
  });
  return { def, metadata, Source: sources.finish() };
}
