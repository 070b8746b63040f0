import { predicateType, STATEMENT_MEDIA_TYPE } from '../../attest/index.ts';
import type { Capture } from '../../attest/index.ts';
import { randomId } from '../../base/index.ts';
import type { ContentStore } from '../../content/types.ts';
import type { BuildResult } from '../../llb/index.ts';
import type { Descriptor } from '../../oci/types.ts';
import type { StorageContext } from '../../storage/types.ts';
import type { LazyRef } from '../lazy-ref.ts';
import type { ProvenanceMaker } from './provenance.ts';
import type { ResultCaptures } from './result-captures.ts';

const VERSION = 'v1';

/**
 * Every build's provenance is kept in full, whatever the client asked for: bare predicates as blobs, by platform, '' for a
 * result without. The same blob stays as long as the record that names it. What it takes of the result is taken at once; what
 * is returned writes the blobs into `content`, and may do so when the result is released.
 */
export async function prepareProvenance(
  result: BuildResult<LazyRef | undefined>,
  captures: ResultCaptures,
  maker: ProvenanceMaker,
  options: { readonly builderId: string; readonly content: ContentStore; readonly context: StorageContext },
): Promise<() => Promise<Map<string, Descriptor[]>>> {
  const { builderId, content, context } = options;
  const full = { version: VERSION, mode: 'max', builderId, reproducible: false, captureUsage: true } as const;
  const all: [string, LazyRef | undefined, Capture | undefined][] = [
    ['', result.ref, captures.ref],
    ...[...(result.refs ?? [])].map(([id, ref]): [string, LazyRef | undefined, Capture | undefined] => [
      id,
      ref,
      captures.refs.get(id),
    ]),
  ];
  const prepared = new Map<string, () => Uint8Array>();
  for (const [id, ref, capture] of all) {
    if (ref !== undefined && capture !== undefined) prepared.set(id, await maker.prepare(ref, capture, full, context));
  }
  return async () => {
    const kept = new Map<string, Descriptor[]>();
    for (const [id, encode] of prepared) kept.set(id, [await keep(encode(), content)]);
    return kept;
  };
}

async function keep(predicate: Uint8Array, content: ContentStore): Promise<Descriptor> {
  const writer = await content.writer(`history-provenance-${randomId()}`);
  try {
    await writer.write(predicate);
    const digest = await writer.commit({ size: predicate.length });
    const annotations = { 'in-toto.io/predicate-type': predicateType(VERSION) };
    return { mediaType: STATEMENT_MEDIA_TYPE, digest, size: predicate.length, annotations };
  } finally {
    await writer.abort();
  }
}
