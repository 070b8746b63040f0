/** Resolving and reading. Sizes and digests that a registry names are checked against what it sends. */
import { BuildError, Code, invalidArgument, notFound, sleep, throwIfAborted, toBuildError } from '../base/index.ts';
import { readLimited, shownUrl, TransportError } from '../http/index.ts';
import type { HttpResponse } from '../http/index.ts';
import {
  detectManifestType,
  digestOf,
  formatReference,
  isDigest,
  isIndexType,
  isManifestType,
  MAX_MANIFEST_BYTES,
  MediaType,
  parseReference,
  withDefaultTag,
  withDigest,
} from '../oci/index.ts';
import type { Descriptor, Digest, Reference } from '../oci/index.ts';
import type { ApiClient } from './api-client.ts';
import type { Endpoint } from './endpoints.ts';
import type { RegistryContext, ResolvedImage } from './types.ts';

const ACCEPT = [MediaType.dockerManifest, MediaType.dockerIndex, MediaType.ociManifest, MediaType.ociIndex, '*/*'].join(
  ', ',
);
const RESUMES = 5;

/**
 * Tries each endpoint. Once a host has answered, the other ways to reach it are left out. undefined: whoever was asked last has
 * it not; an error of substance counts for more than one of reach.
 */
export async function onEndpoints<T>(
  endpoints: readonly Endpoint[],
  work: (endpoint: Endpoint) => Promise<T | undefined>,
): Promise<T | undefined> {
  const answered = new Set<string>();
  /** By place: why it was not reached the first way that was tried. The other ways to it are guesses. */
  const unreached = new Map<string, BuildError>();
  let refusal: BuildError | undefined;
  let last: BuildError | undefined;
  for (const endpoint of endpoints) {
    const place = endpoint.url ?? endpoint.host;
    if (answered.has(place)) continue;
    try {
      const found = await work(endpoint);
      if (found !== undefined) return found;
      answered.add(place);
      last = undefined;
    } catch (thrown) {
      last = toBuildError(thrown);
      if (last.isCanceled) throw last;
      if (last.cause instanceof TransportError) {
        unreached.set(place, unreached.get(place) ?? last);
        last = unreached.get(place);
        continue;
      }
      answered.add(place);
      refusal ??= last;
    }
  }
  const error = refusal ?? last;
  if (error !== undefined) throw error;
  return undefined;
}

function contentType(response: HttpResponse): string {
  return (response.header('content-type') ?? '').split(';')[0].trim();
}

async function resolveAt(
  api: ApiClient,
  endpoint: Endpoint,
  ref: Reference,
  context: RegistryContext,
): Promise<Descriptor | undefined> {
  const path = `manifests/${ref.digest ?? ref.tag}`;
  const headers = { accept: ACCEPT };
  const head = await api.call(endpoint, ref, { method: 'HEAD', path, headers, accept: [200, 404, 405] }, context);
  await head.discard();
  if (head.status === 404) return undefined;
  const size = Number(head.header('content-length') ?? '');
  const named = head.header('docker-content-digest');
  const digest = ref.digest ?? (isDigest(named) ? named : undefined);
  const mediaType = contentType(head);
  if (head.status === 200 && digest !== undefined && size > 0 && mediaType !== '' && mediaType !== 'text/plain') {
    if (size > MAX_MANIFEST_BYTES)
      throw new BuildError(Code.ResourceExhausted, `rejecting ${size} byte manifest for ${formatReference(ref)}`);
    return { mediaType, digest, size };
  }
  const get = await api.call(endpoint, ref, { method: 'GET', path, headers, accept: [200, 404] }, context);
  if (get.status === 404) {
    await get.discard();
    return undefined;
  }
  const bytes = await readLimited(get, MAX_MANIFEST_BYTES, `manifest of ${formatReference(ref)}`);
  const actual = digestOf(bytes);
  if (digest !== undefined && digest !== actual) {
    throw new BuildError(
      Code.FailedPrecondition,
      `${formatReference(ref)}: unexpected digest ${actual}, expected ${digest}`,
    );
  }
  const given = contentType(get);
  const type = isIndexType(given) || isManifestType(given) ? given : detectManifestType(bytes);
  return { mediaType: type, digest: actual, size: bytes.length };
}

export async function resolve(
  api: ApiClient,
  endpoints: readonly Endpoint[],
  text: string,
  context: RegistryContext,
): Promise<ResolvedImage> {
  const ref = withDefaultTag(parseReference(text));
  const descriptor = await onEndpoints(endpoints, (endpoint) => resolveAt(api, endpoint, ref, context));
  if (descriptor === undefined) throw notFound(`${formatReference(ref)}: not found`);
  return { ref: formatReference(withDigest(ref, descriptor.digest)), descriptor };
}

interface OpenBody {
  readonly response: HttpResponse;
  readonly endpoint: Endpoint;
}

async function open(
  api: ApiClient,
  endpoints: readonly Endpoint[],
  ref: Reference,
  descriptor: Descriptor,
  offset: number,
  context: RegistryContext,
): Promise<OpenBody> {
  const isManifest = isManifestType(descriptor.mediaType) || isIndexType(descriptor.mediaType);
  const path = `${isManifest ? 'manifests' : 'blobs'}/${descriptor.digest}`;
  const headers = {
    accept: [descriptor.mediaType, '*/*'].filter((t) => t !== '').join(', '),
    ...(offset === 0 ? {} : { range: `bytes=${offset}-` }),
  };
  const found = await onEndpoints(endpoints, async (endpoint): Promise<OpenBody | undefined> => {
    const { url } = endpoint;
    const request =
      url === undefined
        ? { method: 'GET', path, headers, accept: [200, 206, 404] }
        : // Nobody's credentials are for this place: its refusals mean that the next one is asked.
          { method: 'GET', path: url, headers, accept: [200, 206, 401, 403, 404, 410] };
    const response = await api.call(endpoint, ref, request, context);
    if (response.status === 200 || response.status === 206) return { response, endpoint };
    await response.discard();
    return undefined;
  });
  if (found === undefined) {
    const elsewhere = endpoints.flatMap(({ url }) => (url === undefined ? [] : [shownUrl(url)]));
    const also = elsewhere.length === 0 ? '' : `, and not at ${elsewhere.join(', ')}`;
    throw notFound(`${formatReference(ref)}: content ${descriptor.digest} not found${also}: not found`);
  }
  return found;
}

/** Where the body starts; throws when the registry sends a range that nobody asked for. */
function startOf(response: HttpResponse, wanted: number): number {
  if (response.status === 200) return 0;
  const range = /^bytes (\d+)-/.exec(response.header('content-range') ?? '');
  const start = range === null ? wanted : Number(range[1]);
  if (start > wanted) throw invalidArgument(`unexpected content range ${response.header('content-range')}`);
  return start;
}

const MAX_CHUNK = 1024 * 1024;

/** Goes on where a broken connection left off. Never yields more than the descriptor's size. */
export async function* fetchContent(
  api: ApiClient,
  endpoints: readonly Endpoint[],
  ref: Reference,
  descriptor: Descriptor,
  context: RegistryContext,
): AsyncGenerator<Uint8Array> {
  let offset = 0;
  let failures = 0;
  let from = endpoints;
  do {
    throwIfAborted(context.signal);
    const { response, endpoint } = await open(api, from, ref, descriptor, offset, context);
    from = [endpoint];
    let skip = offset - startOf(response, offset);
    try {
      for await (const part of response.body) {
        const fresh = part.subarray(Math.min(skip, part.length));
        skip -= part.length - fresh.length;
        if (offset + fresh.length > descriptor.size) {
          throw new BuildError(
            Code.FailedPrecondition,
            `${descriptor.digest}: content is larger than the ${descriptor.size} bytes of its descriptor`,
          );
        }
        for (let at = 0; at < fresh.length; at += MAX_CHUNK) yield fresh.subarray(at, at + MAX_CHUNK);
        offset += fresh.length;
        if (fresh.length > 0) failures = 0;
      }
      if (offset >= descriptor.size) return;
      if (++failures >= RESUMES) throw ended(descriptor.digest, offset, descriptor.size);
    } catch (error) {
      throwIfAborted(context.signal);
      if (!(error instanceof TransportError) || ++failures >= RESUMES)
        throw error instanceof TransportError
          ? new BuildError(Code.Unavailable, error.message, { cause: error })
          : error;
      context.onLog?.(`error: ${error.message}, retrying`);
    }
    await sleep(100 * failures, context.signal);
  } while (offset < descriptor.size);
}

function ended(digest: Digest, offset: number, size: number): BuildError {
  return new BuildError(Code.Unavailable, `${digest}: unexpected EOF: ${offset} of ${size} bytes`);
}
