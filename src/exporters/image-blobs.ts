import { BuildError, Code } from '../base/index.ts';
import { readBlob } from '../content/index.ts';
import type { ContentProvider } from '../content/types.ts';
import { isIndexType, isManifestType, parseIndex, parseManifest } from '../oci/index.ts';
import type { Descriptor } from '../oci/types.ts';

/** Everything that an image consists of, each blob once. */
export interface ImageBlobs {
  /** Manifests below an index come before it. */
  readonly manifests: readonly Descriptor[];
  /** Configs and layers. */
  readonly blobs: readonly Descriptor[];
}

export async function listImage(provider: ContentProvider, root: Descriptor): Promise<ImageBlobs> {
  const manifests: Descriptor[] = [];
  const blobs = new Map<string, Descriptor>();
  const seen = new Set<string>();
  const visit = async (descriptor: Descriptor): Promise<void> => {
    if (seen.has(descriptor.digest)) return;
    seen.add(descriptor.digest);
    const bytes = await readBlob(provider, descriptor);
    if (isIndexType(descriptor.mediaType)) {
      for (const child of parseIndex(bytes).manifests) await visit(child);
    } else if (isManifestType(descriptor.mediaType)) {
      const { config, layers } = parseManifest(bytes);
      for (const blob of [config, ...layers]) blobs.set(blob.digest, blob);
    } else {
      throw new BuildError(Code.InvalidArgument, 'only manifests may be exported: invalid argument');
    }
    manifests.push(descriptor);
  };
  await visit(root);
  return { manifests, blobs: [...blobs.values()] };
}
