/** `http://…`, `https://…`: one file, looked up once a build, whoever asks. */
import { BuildError, Code, invalidArgument, throwIfAborted, wrapError } from '../../base/index.ts';
import type { TimeNs } from '../../base/index.ts';
import type { StepFacts } from '../../attest/index.ts';
import { shownUrl } from '../../http/index.ts';
import { parseChecksum } from '../../oci/index.ts';
import type { Digest } from '../../oci/index.ts';
import { verifyDetached } from '../../openpgp/index.ts';
import type { JobContext } from '../../solver/types.ts';
import type { ImmutableRef } from '../../storage/types.ts';
import type { Source, SourceInstance, SourceKey, SourceRequest } from '../types.ts';
import { contentKey, keepingKey, parseHttpSource } from './attributes.ts';
import type { HttpSource } from './attributes.ts';
import { fetchDownload } from './fetch.ts';
import { digestBytes, readFile } from './file-digest.ts';
import { fileNameOf } from './file-name.ts';
import type { Download, HttpSourceDeps } from './types.ts';

export interface ChecksumRequest {
  readonly algorithm: 'sha256' | 'sha384' | 'sha512';
  /** Hashed after the file's bytes. */
  readonly suffix: Uint8Array;
}

/** What frontends are told of a file. */
export interface HttpMeta {
  /** `sha256:…`, or what was asked for. */
  readonly checksum: string;
  readonly filename: string;
  readonly lastModified?: TimeNs;
  readonly checksumResponse?: { readonly digest: string; readonly suffix: Uint8Array };
}

/** Upstream's limit: source/http. */
const MAX_SUFFIX = 4096;

class HttpFile implements SourceInstance {
  readonly #deps: HttpSourceDeps;
  readonly #source: HttpSource;

  constructor(deps: HttpSourceDeps, source: HttpSource) {
    this.#deps = deps;
    this.#source = source;
  }

  /** The server is asked only where the answer is not known beforehand. */
  async meta(context: JobContext, request?: ChecksumRequest): Promise<HttpMeta> {
    const { checksum, signature, url, filename } = this.#source;
    if (request !== undefined && request.suffix.length > MAX_SUFFIX)
      throw invalidArgument(`http checksum request suffix exceeds max size ${MAX_SUFFIX}`);
    if (checksum !== undefined && signature === undefined && request === undefined)
      return { checksum, filename: fileNameOf(url, filename, undefined) };
    const download = await this.#download(context);
    if (signature !== undefined) await this.#verify(download, signature, context);
    const { lastModified } = download;
    return {
      checksum: checksum ?? download.digest,
      filename: download.filename,
      lastModified,
      ...(request === undefined ? {} : { checksumResponse: await this.#answer(download, request, context) }),
    };
  }

  async #verify(download: Download, given: NonNullable<HttpSource['signature']>, context: JobContext): Promise<void> {
    const { signature, pubKey: keys } = given;
    try {
      await this.#read(download, context, (signed) => verifyDetached({ signed, signature, keys }));
    } catch (error) {
      throwIfAborted(context.signal);
      throw wrapError(error, 'failed to verify pgp signature');
    }
  }

  async #answer(
    download: Download,
    { algorithm, suffix }: ChecksumRequest,
    context: JobContext,
  ): Promise<{ digest: string; suffix: Uint8Array }> {
    const digest = await this.#read(download, context, (bytes) => digestBytes(bytes, algorithm, suffix));
    return { digest, suffix };
  }

  async #read<T>(
    { refId, filename }: Download,
    context: JobContext,
    use: (bytes: AsyncIterable<Uint8Array>) => Promise<T>,
  ): Promise<T> {
    const ref = await this.#deps.accessor.get(refId).catch((error: unknown) => {
      throw wrapError(error, 'failed to load http source reference');
    });
    try {
      return await use(readFile(ref, filename, context.signal));
    } finally {
      await ref.release();
    }
  }

  async #download(context: JobContext): Promise<Download> {
    let own = false;
    const download = await context.once(keepingKey(this.#source), () => {
      own = true;
      return fetchDownload(this.#deps, this.#source, context);
    });
    await this.#check(download, own, context);
    return download;
  }

  /** Throws when it is not what was asked for. */
  async #check(download: Download, own: boolean, context: JobContext): Promise<void> {
    const { checksum, url } = this.#source;
    if (checksum === undefined) return;
    const [algorithm] = checksum.split(':', 1);
    const actual =
      algorithm === 'sha256'
        ? download.digest
        : await this.#read(download, context, (bytes) => digestBytes(bytes, algorithm));
    if (actual === checksum) return;
    // Upstream's texts: the second where another step of the build had looked the URL up before.
    const text = own
      ? `digest mismatch ${actual}: ${checksum}`
      : `digest mismatch for ${shownUrl(url)}: ${actual} (expected: ${checksum})`;
    throw new BuildError(Code.Unknown, text);
  }

  async cacheKey(context: JobContext): Promise<SourceKey> {
    const { checksum, filename, lastModified } = await this.meta(context);
    return { key: contentKey(this.#source, filename, checksum, lastModified), pin: checksum, done: true };
  }

  facts(pin: string): StepFacts {
    // Of whatever algorithm was asked for: materials only show it.
    return { materials: [{ kind: 'http', url: this.#source.url, digest: parseChecksum(pin) as Digest }] };
  }

  async snapshot(context: JobContext): Promise<ImmutableRef> {
    const { refId } = await this.#download(context);
    return this.#deps.accessor.get(refId);
  }
}

export function createHttpSource(deps: HttpSourceDeps): Source {
  return {
    schemes: ['http', 'https'],
    normalize: ({ scheme, ref }) => `${scheme}://${ref}`,
    resolve: (request) => new HttpFile(deps, parseHttpSource(request)),
    describe: async (request, { httpChecksum }, context) => ({
      http: await resolveHttpMeta(deps, request, httpChecksum, context),
    }),
  };
}

/** For frontends: the same look-up as the step's, so that both see the same file. */
export function resolveHttpMeta(
  deps: HttpSourceDeps,
  request: Pick<SourceRequest, 'scheme' | 'ref' | 'attrs'>,
  checksum: ChecksumRequest | undefined,
  context: JobContext,
): Promise<HttpMeta> {
  return new HttpFile(deps, parseHttpSource(request)).meta(context, checksum);
}
