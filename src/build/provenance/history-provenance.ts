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
 * result without. The same blob stays as long as the record that names it.
 */
export async function keepProvenance(
  result: BuildResult<LazyRef | undefined>,
  captures: ResultCaptures,
  maker: ProvenanceMaker,
  options: { readonly builderId: string; readonly content: ContentStore; readonly context: StorageContext },
): Promise<Map<string, Descriptor>> {
  const { builderId, content, context } = options;
  const keep = async (ref: LazyRef, capture: Capture): Promise<Descriptor> => {
    const full = { version: VERSION, mode: 'max', builderId, reproducible: false, captureUsage: true } as const;
    const bytes = await maker.predicate(ref, capture, full, context);
    const writer = await content.writer(`history-provenance-${randomId()}`);
    try {
      await writer.write(bytes);
      const digest = await writer.commit({ size: bytes.length });
      const annotations = { 'in-toto.io/predicate-type': predicateType(VERSION) };
      return { mediaType: STATEMENT_MEDIA_TYPE, digest, size: bytes.length, annotations };
    } finally {
      await writer.abort();
    }
  };
  const all: [string, LazyRef | undefined, Capture | undefined][] = [
    ['', result.ref, captures.ref],
    ...[...(result.refs ?? [])].map(([id, ref]): [string, LazyRef | undefined, Capture | undefined] => [
      id,
      ref,
      captures.refs.get(id),
    ]),
  ];
  const kept = new Map<string, Descriptor>();
  for (const [id, ref, capture] of all) {
    if (ref !== undefined && capture !== undefined) kept.set(id, await keep(ref, capture));
  }
  return kept;
}
