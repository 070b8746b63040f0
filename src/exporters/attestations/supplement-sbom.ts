import { SPDX_PREDICATE, SpdxDocument } from '../../attest/index.ts';
import { ThreadPool, workerEntry } from '../../base/index.ts';
import type { ContentStore } from '../../content/types.ts';
import type { Remote } from '../../storage/types.ts';
import { attestationContent } from './attestation.ts';
import type { Attestation } from './attestation.ts';
import type { LayerSearch } from './layer-files.worker.ts';
import { isCoreSbom } from './unbundle.ts';

const searchers = new ThreadPool(workerEntry(import.meta.url, 'layer-files.worker'), { max: 1 });

export interface ImageLayers {
  readonly layers: Remote;
  /** Whether they are those of a Windows image. */
  readonly windows: boolean;
}

/** The layers that bring these files: of several the topmost one. */
async function layersOf(
  paths: ReadonlySet<string>,
  { layers: { descriptors, provider }, windows }: ImageLayers,
  content: ContentStore,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const missing = new Set(paths);
  const found = new Map<string, string>();
  for (const layer of descriptors.toReversed()) {
    if (missing.size === 0) break;
    // A reader brings a lazy layer into the content store.
    const reader = await provider.reader(layer, signal);
    await reader.close();
    const search: LayerSearch = { path: content.pathOf(layer.digest), wanted: [...missing], windows };
    for (const path of await searchers.call<string[]>('findInLayer', search, { signal })) {
      missing.delete(path);
      found.set(path, layer.digest);
    }
  }
  return found;
}

/** The SBOM of an image says of each file which layer it is in. What is none, or cannot be read as one, stays as it is. */
export async function supplementSbom(
  attestation: Attestation,
  image: ImageLayers | undefined,
  content: ContentStore,
  signal: AbortSignal,
): Promise<Attestation> {
  const { kind, predicateType } = attestation;
  if (image === undefined || kind !== 'in-toto' || predicateType !== SPDX_PREDICATE) return attestation;
  if (!isCoreSbom(attestation)) return attestation;
  const document = SpdxDocument.parse(await attestationContent(attestation));
  if (document === undefined) return attestation;
  const text = document.withLayers(await layersOf(document.paths, image, content, signal));
  const { ref: _, ...rest } = attestation;
  return { ...rest, content: () => Promise.resolve(Buffer.from(text)) };
}
