import { isNotFound } from '../base/index.ts';
import { openLayoutStore, readBlob, readLayoutIndex, writeLayoutIndex } from '../content/index.ts';
import type { Descriptor, Digest, Index } from '../oci/types.ts';

/** containerd's annotation for the full name of an image (images.AnnotationImageName). */
const IMAGE_NAME = 'io.containerd.image.name';
const REF_NAME = 'org.opencontainers.image.ref.name';
const MAX_MANIFEST = 8 << 20;

/** A bare tag, or a whole image name, whose tag becomes the ref name. */
export type IndexName = { readonly tag: string } | { readonly name: string };

function refNameOf(image: string): string {
  const at = image.indexOf('@');
  if (at >= 0) return image.slice(at + 1);
  const colon = image.lastIndexOf(':');
  return colon > image.lastIndexOf('/') ? image.slice(colon + 1) : 'latest';
}

export function findInIndex(index: Index, name: string): Descriptor | undefined {
  return (
    index.manifests.find((m) => m.annotations?.[IMAGE_NAME] === name) ??
    index.manifests.find((m) => m.annotations?.[REF_NAME] === name)
  );
}

/** Names `descriptor` in the layout's index.json; what had the name before is dropped from it, not from the layout. */
export function nameInLayout(directory: string, descriptor: Descriptor, names: readonly IndexName[]): void {
  let index: Index;
  try {
    index = readLayoutIndex(directory);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] };
  }
  let manifests = [...index.manifests];
  for (const n of names) {
    const image = 'name' in n ? n.name : undefined;
    const ref = 'name' in n ? refNameOf(n.name) : n.tag;
    manifests = manifests.filter(
      (m) => m.annotations?.[REF_NAME] !== ref || (m.annotations?.[IMAGE_NAME] ?? undefined) !== image,
    );
    const annotations = {
      ...descriptor.annotations,
      ...(image === undefined ? {} : { [IMAGE_NAME]: image }),
      [REF_NAME]: ref,
    };
    manifests.push({ ...descriptor, annotations });
  }
  writeLayoutIndex(directory, JSON.stringify({ ...index, schemaVersion: 2, manifests }));
}

function childrenOf(value: any): Descriptor[] {
  const found: unknown[] = [
    ...(Array.isArray(value?.manifests) ? value.manifests : []),
    ...(Array.isArray(value?.layers) ? value.layers : []),
    value?.config,
    value?.subject,
  ];
  return found.filter((d): d is Descriptor => typeof (d as Descriptor | undefined)?.digest === 'string');
}

/** Deletes the blobs that nothing in the layout's index leads to. */
export async function dropUnnamed(directory: string): Promise<void> {
  const store = openLayoutStore(directory);
  const kept = new Set<Digest>();
  const open = [...readLayoutIndex(directory).manifests];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (kept.has(next.digest)) continue;
    kept.add(next.digest);
    if (!/(index|manifest)(\.list)?\.v\d\+json$/.test(next.mediaType) || next.size > MAX_MANIFEST) continue;
    const bytes = await readBlob(store, next, { limit: MAX_MANIFEST });
    open.push(...childrenOf(JSON.parse(Buffer.from(bytes).toString('utf8'))));
  }
  const unnamed: Digest[] = [];
  for await (const { digest } of store.list()) if (!kept.has(digest)) unnamed.push(digest);
  for (const digest of unnamed) await store.delete(digest);
}
