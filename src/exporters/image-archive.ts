import { BuildError, Code } from '../base/index.ts';
import { encodeTarHeader, TAR_TRAILER, tarPadding, TarType, toByteString } from '../archive/index.ts';
import { readBlob } from '../content/index.ts';
import type { ContentProvider } from '../content/types.ts';
import {
  familiarReference,
  isManifestType,
  MediaType,
  parseManifest,
  parseReference,
  withDefaultTag,
} from '../oci/index.ts';
import type { Descriptor, Digest } from '../oci/types.ts';
import { encodeGoJson } from './go-json.ts';
import { listImage } from './image-blobs.ts';
import { encodeIndex } from './manifest-json.ts';

interface ArchiveEntry {
  readonly name: string;
  readonly mode: number;
  readonly content: Uint8Array | Descriptor | undefined;
}

export interface ImageArchive {
  readonly image: Descriptor;
  /** Fully qualified. */
  readonly names: readonly string[];
  /** Add the `manifest.json` that `docker load` reads. */
  readonly dockerManifest: boolean;
}

function blobPath(digest: Digest): string {
  return `blobs/${digest.replace(':', '/')}`;
}

/** The part of a name that OCI layouts are tagged with: the tag, or all of a name without one. */
function referenceName(name: string): string {
  const at = name.slice(name.indexOf('/') + 1).search(/[:@]/);
  if (at < 0) return name;
  const object = name.slice(name.indexOf('/') + 1 + at);
  return object.startsWith('@') ? name : object.slice(1);
}

/** One entry of index.json for each name. */
function namedDescriptors({ image, names }: ImageArchive): Descriptor[] {
  if (names.length === 0) return [image];
  return names.map((name) => ({
    ...image,
    annotations: {
      ...image.annotations,
      'io.containerd.image.name': name,
      'org.opencontainers.image.ref.name': referenceName(name),
    },
  }));
}

async function dockerManifest(archive: ImageArchive, provider: ContentProvider): Promise<Uint8Array | undefined> {
  const { image, names } = archive;
  if (!archive.dockerManifest || !isManifestType(image.mediaType)) return undefined;
  const manifest = parseManifest(await readBlob(provider, image));
  const tags = names.map((name) => familiarReference(withDefaultTag(parseReference(name))));
  const layers = manifest.layers.map((layer) => blobPath(layer.digest));
  const entry = {
    Config: blobPath(manifest.config.digest),
    RepoTags: tags.length === 0 ? null : tags,
    Layers: layers.length === 0 ? null : layers,
  };
  return Buffer.from(encodeGoJson([entry]));
}

/** An image as one tar, an OCI layout inside: entries in the order of their names, without times (containerd's archive exporter). */
export async function* archiveImage(
  archive: ImageArchive,
  provider: ContentProvider,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { manifests, blobs } = await listImage(provider, archive.image);
  const entries: ArchiveEntry[] = [
    { name: 'oci-layout', mode: 0o444, content: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    {
      name: 'index.json',
      mode: 0o644,
      content: encodeIndex({ mediaType: MediaType.ociIndex, manifests: namedDescriptors(archive) }, false),
    },
    ...[...manifests, ...blobs].map((d) => ({ name: blobPath(d.digest), mode: 0o444, content: d })),
    { name: 'blobs/', mode: 0o755, content: undefined },
    ...[...new Set([...manifests, ...blobs].map((d) => d.digest.split(':')[0]))].map((algorithm) => ({
      name: `blobs/${algorithm}/`,
      mode: 0o755,
      content: undefined,
    })),
  ];
  const docker = await dockerManifest(archive, provider);
  if (docker !== undefined) entries.push({ name: 'manifest.json', mode: 0o644, content: docker });
  entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));

  for (const { name, mode, content } of entries) {
    const size = content === undefined ? 0 : content instanceof Uint8Array ? content.length : content.size;
    yield header(name, mode, size);
    if (content === undefined) continue;
    if (content instanceof Uint8Array) yield content;
    else yield* blobBytes(content, provider, signal);
    const padding = tarPadding(size);
    if (padding.length > 0) yield padding;
  }
  yield TAR_TRAILER;
}

async function* blobBytes(
  descriptor: Descriptor,
  provider: ContentProvider,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const reader = await provider.reader(descriptor, signal);
  try {
    let bytes = 0;
    for await (const chunk of reader.stream()) {
      bytes += chunk.length;
      yield chunk;
    }
    if (bytes !== descriptor.size) {
      throw new BuildError(Code.DataLoss, `unexpected copy size for ${blobPath(descriptor.digest)}`);
    }
  } finally {
    await reader.close();
  }
}

function header(name: string, mode: number, size: number): Uint8Array {
  return encodeTarHeader({
    name: toByteString(name),
    type: name.endsWith('/') ? TarType.Dir : TarType.File,
    mode,
    uid: 0,
    gid: 0,
    size,
    mtimeNs: 0n,
    linkname: toByteString(''),
    uname: toByteString(''),
    gname: toByteString(''),
    devmajor: 0,
    devminor: 0,
  });
}
