import { BuildError, Code, mapConcurrent, oneLine } from '../base/index.ts';
import { defaultPlatform, formatPlatform, isForeignLayerType } from '../oci/index.ts';
import type { Descriptor } from '../oci/types.ts';
import { Annotations } from './annotations.ts';
import type { ExporterDeps } from './deps.ts';
import { listImage } from './image-blobs.ts';
import { parseImageOptions, takeFlag } from './image-options.ts';
import { ImageWriter, storageContext } from './image-writer.ts';
import type { WrittenImage } from './image-writer.ts';
import { pushAll } from './push.ts';
import { imageResponse } from './response.ts';
import { platformsOf, refOfPlatform } from './result.ts';
import type { ExportedResult } from './result.ts';
import type { ExportContext, Exporter, ExporterInstance, ExportOutcome } from './types.ts';

/** The result with the exporter's own attributes as metadata, and the annotations that are among all that metadata. */
export function withAttributes(
  result: ExportedResult,
  attrs: ReadonlyMap<string, string>,
): { result: ExportedResult; annotations: Annotations } {
  const given = [...attrs].map(([key, value]) => [key, Buffer.from(value)] as const);
  const metadata = new Map<string, Uint8Array>([...result.metadata, ...given]);
  const texts = [...metadata]
    .filter(([key]) => key.startsWith('annotation'))
    .map(([key, value]) => [key, Buffer.from(value).toString('utf8')] as const);
  return { result: { ...result, metadata }, annotations: Annotations.parse(texts).annotations };
}

/** `*` stands for the name that the frontend gave. */
export function imageNameOf(name: string, result: ExportedResult): string {
  const given = result.metadata.get('image.name');
  return name === '*' && given !== undefined ? Buffer.from(given).toString('utf8') : name;
}

export function createImageExporter(deps: ExporterDeps): Exporter {
  return {
    type: 'image',
    resolve: (attrs) => new ImageExport(deps, attrs),
  };
}

class ImageExport implements ExporterInstance {
  readonly name = 'exporting to image';
  readonly type = 'image';
  readonly attrs: ReadonlyMap<string, string>;
  readonly #deps: ExporterDeps;
  readonly #options: ReturnType<typeof parseImageOptions>;
  readonly #push: boolean;
  readonly #byDigest: boolean;
  readonly #insecure: boolean;
  readonly #unpack: boolean;
  readonly #store: boolean;
  readonly #storeIncomplete: boolean;
  readonly #canonical: boolean;
  readonly #danglingPrefix: string;
  readonly #danglingEmptyOnly: boolean;
  readonly #meta: ReadonlyMap<string, string>;

  constructor(deps: ExporterDeps, attrs: ReadonlyMap<string, string>) {
    this.#deps = deps;
    this.attrs = attrs;
    this.#options = parseImageOptions(attrs);
    const rest = new Map(this.#options.rest);
    this.#push = takeFlag(rest, 'push', false);
    this.#byDigest = takeFlag(rest, 'push-by-digest', false);
    this.#insecure = takeFlag(rest, 'registry.insecure', false);
    this.#unpack = takeFlag(rest, 'unpack', false);
    this.#store = takeFlag(rest, 'store', true);
    this.#storeIncomplete = takeFlag(rest, 'unsafe-internal-store-allow-incomplete', false);
    this.#canonical = takeFlag(rest, 'name-canonical', false);
    this.#danglingPrefix = rest.get('dangling-name-prefix') ?? '';
    rest.delete('dangling-name-prefix');
    // Upstream's spelling (exptypes/keys.go).
    this.#danglingEmptyOnly = takeFlag(rest, 'danging-name-empty-only', false);
    this.#meta = rest;
  }

  async export(given: ExportedResult, context: ExportContext): Promise<ExportOutcome> {
    const { result, annotations } = withAttributes(given, this.#meta);
    const options = {
      ...this.#options,
      annotations: this.#options.annotations.merge(annotations),
      ociTypes: this.#options.ociTypes ?? true,
      inlineAttestations: this.#options.inlineAttestations ?? true,
    };
    const image = await new ImageWriter(this.#deps.content).write(result, options, context);
    const { descriptor } = image;
    let names = imageNameOf(this.#options.name, result);
    let canonical = this.#canonical;
    if (this.#danglingPrefix !== '' && (!this.#danglingEmptyOnly || names === '')) {
      const dangling = `${this.#danglingPrefix}@${descriptor.digest}`;
      if (names === '') canonical = false;
      names = names === '' ? dangling : `${names},${dangling}`;
    }
    const targets = names === '' ? [] : names.split(',');
    for (const target of targets) await this.#keep(target, canonical, image, result, context);

    const response = imageResponse(image, descriptor, names);
    if (!this.#push || targets.length === 0) return { response, descriptor };
    return { response, descriptor, finalize: (pushContext) => this.#pushTo(targets, image, pushContext) };
  }

  async #pushTo(targets: readonly string[], image: WrittenImage, context: ExportContext): Promise<void> {
    const { registry, content, auth } = this.#deps;
    const requests = targets.map((name) => ({
      name,
      image: image.descriptor,
      provider: image.provider,
      byDigest: this.#byDigest,
      insecure: this.#insecure,
    }));
    await pushAll({ registry, content, auth: auth?.(context.sessionId) }, requests, context);
  }

  /** Names the image in the store of images, with everything that it consists of; foreign layers stay where they are. */
  async #keep(
    target: string,
    canonical: boolean,
    image: WrittenImage,
    result: ExportedResult,
    context: ExportContext,
  ): Promise<void> {
    const { images } = this.#deps;
    if (images === undefined || !this.#store) return;
    await oneLine(context.progress, `naming to ${target}`, async () => {
      images.set(target, image.descriptor);
      if (canonical && !target.includes('@')) images.set(`${target}@${image.descriptor.digest}`, image.descriptor);
      await Promise.resolve();
    });
    if (this.#unpack) await this.#unpackOwn(target, result, context);
    if (!this.#storeIncomplete) await this.#fetchLayers(image.descriptor, image, context);
  }

  async #fetchLayers(descriptor: Descriptor, image: WrittenImage, context: ExportContext): Promise<void> {
    const { blobs } = await listImage(this.#deps.content, descriptor);
    const own = blobs.filter((blob) => !isForeignLayerType(blob.mediaType));
    await mapConcurrent(own, 4, async (blob) => {
      const reader = await image.provider.reader(blob, context.signal);
      await reader.close();
    });
  }

  /** Snapshots of results are there anyway, at most lazy. */
  async #unpackOwn(target: string, result: ExportedResult, context: ExportContext): Promise<void> {
    if (this.#options.rewriteTimestamp) {
      throw new BuildError(Code.Unknown, 'exporter option "rewrite-timestamp" conflicts with "unpack"');
    }
    const own = formatPlatform(defaultPlatform());
    const platform = platformsOf(result).find((p) => formatPlatform(p.platform) === own);
    const ref = platform === undefined ? undefined : refOfPlatform(result, platform.id);
    if (ref === undefined) return;
    await oneLine(context.progress, `unpacking to ${target}`, () => ref.unlazy(storageContext(context)));
  }
}
