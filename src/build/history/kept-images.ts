/** What describes an image stays with the record of its build: index, manifests and configurations, without the layers. */
import { BuildError, Code, randomId } from '../../base/index.ts';
import { readBlob } from '../../content/index.ts';
import type { BlobInfo, ContentProvider, ContentStore } from '../../content/types.ts';
import { isIndexType, isManifestType, parseIndex, parseManifest } from '../../oci/index.ts';
import type { Descriptor, Digest } from '../../oci/types.ts';

/** Names of the writes of this file begin so. */
export const IMAGE_WRITE = 'history-image-';
/** containerd's labels for "as long as this blob is kept". */
const KEEPS = 'containerd.io/gc.ref.content.';

/** Blobs that are kept as long as this one is. */
export function* keptWith(blob: BlobInfo): Generator<Digest> {
  for (const [label, digest] of blob.labels) if (label.startsWith(KEEPS)) yield digest as Digest;
}

/** Copies what is there; a blob that `from` has no more is left out, and whoever asks for it is told so. */
export async function keepImage(from: ContentProvider, to: ContentStore, root: Descriptor): Promise<void> {
  if ((await to.info(root.digest)) !== undefined) return;
  let bytes: Uint8Array;
  try {
    bytes = await readBlob(from, root);
  } catch (error) {
    if (error instanceof BuildError && error.code === Code.NotFound) return;
    throw error;
  }
  const children = childrenOf(root.mediaType, bytes);
  for (const child of children) await keepImage(from, to, child);
  const labels = new Map(children.map(({ digest }, index) => [`${KEEPS}${index}`, digest]));
  const writer = await to.writer(`${IMAGE_WRITE}${randomId()}`);
  try {
    await writer.write(bytes);
    await writer.commit({ digest: root.digest, size: bytes.length, labels });
  } finally {
    await writer.abort();
  }
}

function childrenOf(mediaType: string, bytes: Uint8Array): readonly Descriptor[] {
  if (isIndexType(mediaType)) return parseIndex(bytes).manifests;
  return isManifestType(mediaType) ? [parseManifest(bytes).config] : [];
}
