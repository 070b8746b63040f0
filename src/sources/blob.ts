/** `docker-image+blob://repo@digest`, `oci-layout+blob://name@digest`: one blob of a registry, or of a client's OCI layout, as a file. */
import type { StepFacts } from '../attest/index.ts';
import { BuildError, Code, invalidArgument, notFound, wrapError } from '../base/index.ts';
import { digestOf, formatReference, goJson, parseDigest, parseReference } from '../oci/index.ts';
import type { Descriptor, Digest } from '../oci/index.ts';
import type { JobContext } from '../solver/types.ts';
import { mountLocally } from '../storage/index.ts';
import type { CacheAccessor, ImmutableRef } from '../storage/types.ts';
import { parseFileAttrs, safeFileName, saveFile } from './http/index.ts';
import type { FileAttrs } from './http/index.ts';
import { askerOf } from './image.ts';
import { layoutBlobSize, layoutOrigin, registryOrigin } from './image-origin.ts';
import type { ImageDeps, ImageOrigin, LayoutStore } from './image-origin.ts';
import { createSessionAuth } from './session-auth.ts';
import type { Source, SourceInstance, SourceKey, SourceRequest } from './types.ts';

const REGISTRY = 'docker-image+blob';
const LAYOUT = 'oci-layout+blob';
const RECORD_TYPES = new Set(['', 'regular', 'internal', 'frontend']);
const DEFAULT_MODE = 0o600;

interface BlobRequest extends FileAttrs {
  readonly ref: string;
  readonly digest: Digest;
  /** undefined: of a registry. */
  readonly store: LayoutStore | undefined;
}

export type BlobDeps = ImageDeps & { readonly accessor: CacheAccessor };

function parseBlobRef(text: string): { ref: string; digest: Digest } {
  const ref = parseReference(text);
  if (ref.tag === undefined && ref.digest === undefined) throw invalidArgument('object required');
  if (ref.digest === undefined) throw invalidArgument('invalid reference digest: invalid checksum digest format');
  try {
    return { ref: formatReference(ref), digest: parseDigest(ref.digest) };
  } catch (error) {
    throw wrapError(error, 'invalid reference digest');
  }
}

/** Throws InvalidArgument. */
function parseBlobRequest({ scheme, ref, attrs }: SourceRequest): BlobRequest {
  const recordType = attrs.get('image.recordtype') ?? '';
  if (!RECORD_TYPES.has(recordType)) throw invalidArgument(`invalid record type ${recordType}`);
  const storeId = attrs.get('oci.store') ?? '';
  if (scheme === LAYOUT && storeId === '') throw invalidArgument('oci-layout blob source requires store id');
  const file = parseFileAttrs(attrs);
  return {
    ...parseBlobRef(ref),
    ...file,
    filename: file.filename === '' ? '' : safeFileName(file.filename),
    store: scheme === LAYOUT ? { storeId, sessionId: attrs.get('oci.session') ?? '' } : undefined,
  };
}

class BlobFile implements SourceInstance {
  readonly #deps: BlobDeps;
  readonly #request: BlobRequest;

  constructor(deps: BlobDeps, request: BlobRequest) {
    this.#deps = deps;
    this.#request = request;
  }

  /** Upstream's (source/containerblob), byte for byte. */
  async cacheKey(): Promise<SourceKey> {
    const { digest, filename, perm, uid, gid } = this.#request;
    const fields = { Digest: digest, Filename: filename, Perm: perm, UID: uid, GID: gid };
    return { key: digestOf(goJson(fields)), pin: digest, done: true };
  }

  facts(): StepFacts {
    const { ref, digest, store } = this.#request;
    return { materials: [{ kind: 'image-blob', ref, digest, local: store !== undefined }] };
  }

  async snapshot(context: JobContext): Promise<ImmutableRef> {
    const { ref, digest } = this.#request;
    const { origin, descriptor } = await this.#find(context);
    const reader = await origin.reader(descriptor, context.signal);
    try {
      const mutable = await this.#deps.accessor.create(undefined, { description: `blob ${ref}`, retain: true });
      try {
        const mounted = await mountLocally(mutable, { readonly: false });
        try {
          const actual = await this.#save(mounted.dir, reader.stream(), context.signal);
          if (actual !== digest) throw mismatch(ref, actual, digest);
        } finally {
          await mounted.release();
        }
        return await mutable.commit();
      } catch (error) {
        await mutable.metadata.setRetain(false);
        await mutable.release();
        throw error;
      }
    } finally {
      await reader.close();
    }
  }

  #save(dir: string, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Digest> {
    const { digest, filename, perm, uid, gid } = this.#request;
    const name = filename === '' ? digest.slice('sha256:'.length) : filename;
    const mode = perm === 0 ? DEFAULT_MODE : perm;
    return saveFile(dir, bytes, { name, mode, uid, gid, mtimeMs: 0, gzipped: false, signal });
  }

  async #find(context: JobContext): Promise<{ origin: ImageOrigin; descriptor: Descriptor }> {
    const { ref, digest, store } = this.#request;
    const asker = askerOf(context);
    if (store !== undefined) {
      const size = await layoutBlobSize(this.#deps, store, digest, asker);
      return { origin: layoutOrigin(this.#deps, store, asker), descriptor: { mediaType: '', digest, size } };
    }
    const { registry, sessions } = this.#deps;
    const auth = createSessionAuth(sessions, asker.sessions, context.signal);
    const access = { auth, signal: context.signal, ...(asker.onLog === undefined ? {} : { onLog: asker.onLog }) };
    const size = await registry.blobSize(ref, digest, access);
    // A digest may also be that of a manifest, which registries keep elsewhere.
    const descriptor =
      size === undefined ? (await registry.resolve(ref, access)).descriptor : { mediaType: '', digest, size };
    if (descriptor.digest !== digest) throw notFound(`${ref}: not found`);
    return { origin: registryOrigin(this.#deps, ref, asker), descriptor };
  }
}

function mismatch(ref: string, actual: Digest, digest: Digest): BuildError {
  return new BuildError(Code.FailedPrecondition, `${ref}: unexpected digest ${actual}, expected ${digest}`);
}

export function createBlobSource(deps: BlobDeps): Source {
  return {
    schemes: [REGISTRY, LAYOUT],
    normalize: ({ scheme, ref }) => `${scheme}://${parseBlobRef(ref).ref}`,
    resolve: (request) => new BlobFile(deps, parseBlobRequest(request)),
  };
}
