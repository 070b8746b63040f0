import { BuildError, Code, formatTime, mapConcurrent, nowNs, oneLine, wrapError } from '../base/index.ts';
import type { ContentProvider } from '../content/types.ts';
import { isIndexType, isLayerType, isManifestType, normalizeReference } from '../oci/index.ts';
import type { Descriptor } from '../oci/types.ts';
import { sendFile, SessionContent } from '../session/index.ts';
import type { SessionCaller } from '../session/types.ts';
import { clientOf } from './client.ts';
import type { ExporterDeps } from './deps.ts';
import { archiveImage } from './image-archive.ts';
import { listImage } from './image-blobs.ts';
import { imageNameOf, withAttributes } from './image-exporter.ts';
import { parseImageOptions, takeFlag } from './image-options.ts';
import { ImageWriter } from './image-writer.ts';
import { imageResponse } from './response.ts';
import { epochNs, isPerPlatform } from './result.ts';
import type { ExportedResult } from './result.ts';
import type { ExportContext, Exporter, ExporterInstance, ExportOutcome } from './types.ts';

type Variant = 'oci' | 'docker';

/** Images that the client gets: as a tar, or blob by blob into its own store. */
export function createArchiveExporter(deps: ExporterDeps, variant: Variant): Exporter {
  return { type: variant, resolve: (attrs) => new ArchiveExport(deps, variant, attrs) };
}

const CREATED = 'org.opencontainers.image.created';

function qualifiedNames(names: string): string[] {
  if (names === '') return [];
  return names.split(',').map((name) => {
    try {
      return normalizeReference(name);
    } catch (error) {
      throw wrapError(error, `failed to parse ${name}`);
    }
  });
}

class ArchiveExport implements ExporterInstance {
  readonly name: string;
  readonly type: Variant;
  readonly attrs: ReadonlyMap<string, string>;
  readonly #deps: ExporterDeps;
  readonly #options: ReturnType<typeof parseImageOptions>;
  readonly #tar: boolean;
  readonly #meta: ReadonlyMap<string, string>;

  constructor(deps: ExporterDeps, variant: Variant, attrs: ReadonlyMap<string, string>) {
    this.#deps = deps;
    this.type = variant;
    this.name = `exporting to ${variant} image format`;
    this.attrs = attrs;
    this.#options = parseImageOptions(attrs);
    const rest = new Map(this.#options.rest);
    this.#tar = takeFlag(rest, 'tar', true);
    this.#meta = rest;
  }

  async export(given: ExportedResult, context: ExportContext): Promise<ExportOutcome> {
    if (this.type === 'docker' && isPerPlatform(given)) {
      throw new BuildError(Code.Unknown, 'docker exporter does not currently support exporting manifest lists');
    }
    const { result, annotations } = withAttributes(given, this.#meta);
    const options = {
      ...this.#options,
      annotations: this.#options.annotations.merge(annotations),
      ociTypes: this.#options.ociTypes ?? true,
      inlineAttestations: this.#options.inlineAttestations ?? false,
    };
    const image = await new ImageWriter(this.#deps.content).write(result, options, context);
    const seconds = options.epoch?.seconds;
    const created = formatTime(seconds === undefined ? (nowNs() / 1_000_000_000n) * 1_000_000_000n : epochNs(seconds));
    const descriptor: Descriptor = {
      ...image.descriptor,
      annotations: { [CREATED]: created, ...image.descriptor.annotations },
    };
    const names = qualifiedNames(imageNameOf(this.#options.name, result));
    const response = imageResponse(image, descriptor, names.join(','));
    const caller = await clientOf(this.#deps.sessions, context);
    if (this.#tar) {
      const archive = { image: descriptor, names, dockerManifest: this.type === 'docker' };
      await this.#sendTar(archiveImage(archive, image.provider, context.signal), caller, response, context);
    } else {
      await copyToClient(descriptor, image.provider, caller, context);
    }
    return { response, descriptor };
  }

  async #sendTar(
    chunks: AsyncIterable<Uint8Array>,
    caller: SessionCaller,
    response: ReadonlyMap<string, string>,
    context: ExportContext,
  ): Promise<void> {
    const sink = sendFile(caller, { exporterId: String(context.exporterIndex) }, response, context.signal);
    await oneLine(context.progress, 'sending tarball', async () => {
      try {
        for await (const chunk of chunks) await sink.write(chunk);
        await sink.close();
      } catch (error) {
        sink.cancel(error as Error);
        throw error;
      }
    });
  }
}

/** Children before those who name them, so that the client's store is whole at any time. */
async function copyToClient(
  image: Descriptor,
  provider: ContentProvider,
  caller: SessionCaller,
  context: ExportContext,
): Promise<void> {
  const store = new SessionContent(caller, 'export');
  const { manifests, blobs } = await listImage(provider, image);
  const copy = async (descriptor: Descriptor): Promise<void> => {
    if (await hasBlob(store, descriptor, context.signal)) return;
    const writer = await store.writer(writeName(descriptor), context.signal);
    const reader = await provider.reader(descriptor, context.signal);
    try {
      // A write that was cut off goes on where it ended.
      for await (const chunk of reader.stream(writer.offset)) await writer.write(chunk);
      await writer.commit({ digest: descriptor.digest, size: descriptor.size });
    } catch (error) {
      await writer.abort();
      throw error;
    } finally {
      await reader.close();
    }
  };
  await mapConcurrent(blobs, 4, copy);
  for (const manifest of manifests) await copy(manifest);
}

async function hasBlob(store: SessionContent, descriptor: Descriptor, signal: AbortSignal): Promise<boolean> {
  try {
    return (await store.info(descriptor.digest, signal)).size === descriptor.size;
  } catch (error) {
    if (error instanceof BuildError && error.code === Code.NotFound) return false;
    throw error;
  }
}

/** containerd's names of writes (core/remotes/handlers.go MakeRefKey). */
function writeName({ mediaType, digest }: Descriptor): string {
  if (isManifestType(mediaType)) return `manifest-${digest}`;
  if (isIndexType(mediaType)) return `index-${digest}`;
  return isLayerType(mediaType) ? `layer-${digest}` : `config-${digest}`;
}
