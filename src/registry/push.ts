/** Uploads: what is there is not sent again, what another repository has is mounted from there. */
import { BuildError, Code, invalidArgument, toBuildError } from '../base/index.ts';
import { formatReference, parseReference } from '../oci/index.ts';
import type { Descriptor, Digest, Reference } from '../oci/index.ts';
import type { ApiClient } from './api-client.ts';
import type { Endpoint } from './endpoints.ts';
import type { RegistryContext } from './types.ts';

/** undefined: it is not there. A size that the registry does not tell is NaN. */
export async function findBlob(
  api: ApiClient,
  endpoint: Endpoint,
  ref: Reference,
  digest: Digest,
  context: RegistryContext,
  push: boolean,
): Promise<number | undefined> {
  const head = await api.call(
    endpoint,
    ref,
    { method: 'HEAD', path: `blobs/${digest}`, accept: [200, 404], push },
    context,
  );
  await head.discard();
  return head.status === 200 ? Number(head.header('content-length') ?? NaN) : undefined;
}

export interface BlobPush {
  readonly descriptor: Descriptor;
  readonly content: () => Promise<AsyncIterable<Uint8Array>>;
  readonly mountFrom?: string;
  readonly onProgress?: (sent: number) => void;
}

/** Opened when somebody reads: a request that fails before it sends anything would leave it open. */
async function* counted(
  open: () => Promise<AsyncIterable<Uint8Array>>,
  size: number,
  onProgress: ((sent: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for await (const chunk of await open()) {
    sent += chunk.length;
    if (sent > size)
      throw new BuildError(Code.FailedPrecondition, `content is larger than the ${size} bytes of its descriptor`);
    yield chunk;
    onProgress?.(sent);
  }
  if (sent < size) throw new BuildError(Code.FailedPrecondition, `content ends after ${sent} of ${size} bytes`);
}

/** The repository to mount from, when it is one of the same registry. */
function mountSource(ref: Reference, mountFrom: string | undefined): string | undefined {
  if (mountFrom === undefined) return undefined;
  const from = parseReference(mountFrom);
  return from.domain === ref.domain && from.path !== ref.path ? from.path : undefined;
}

async function startUpload(
  api: ApiClient,
  endpoint: Endpoint,
  ref: Reference,
  digest: Digest,
  from: string | undefined,
  context: RegistryContext,
): Promise<URL | undefined> {
  const mount = from === undefined ? {} : { query: { mount: digest, from }, extraScopes: [`repository:${from}:pull`] };
  const request = {
    method: 'POST',
    path: 'blobs/uploads/',
    push: true,
    headers: { 'content-length': '0' },
    accept: [201, 202],
    ...mount,
  };
  const started = await api.call(endpoint, ref, request, context);
  await started.discard();
  if (started.status === 201) return undefined;
  const location = started.header('location');
  if (location === undefined || !URL.canParse(location, started.url))
    throw invalidArgument(`upload of ${digest} has no location`);
  return new URL(location, started.url);
}

export async function pushBlob(
  api: ApiClient,
  endpoint: Endpoint,
  ref: Reference,
  push: BlobPush,
  context: RegistryContext,
): Promise<void> {
  const { digest, size } = push.descriptor;
  if ((await findBlob(api, endpoint, ref, digest, context, true)) !== undefined) return;
  const from = mountSource(ref, push.mountFrom);
  let target: URL | undefined;
  try {
    target = await startUpload(api, endpoint, ref, digest, from, context);
  } catch (error) {
    // Without the right to read the other repository the blob goes the long way.
    if (from === undefined || toBuildError(error).isCanceled) throw error;
    target = await startUpload(api, endpoint, ref, digest, undefined, context);
  }
  if (target === undefined) return;
  const put = await api.call(
    endpoint,
    ref,
    {
      method: 'PUT',
      path: target.href,
      query: { digest },
      push: true,
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
      body: async () => counted(push.content, size, push.onProgress),
      accept: [200, 201, 204],
    },
    context,
  );
  await put.discard();
}

export async function pushManifest(
  api: ApiClient,
  endpoint: Endpoint,
  ref: Reference,
  descriptor: Descriptor,
  bytes: Uint8Array,
  context: RegistryContext,
): Promise<void> {
  const path = `manifests/${ref.tag ?? descriptor.digest}`;
  const head = await api.call(
    endpoint,
    ref,
    { method: 'HEAD', path, headers: { accept: `${descriptor.mediaType}, */*` }, accept: [200, 404], push: true },
    context,
  );
  await head.discard();
  if (head.status === 200 && head.header('docker-content-digest') === descriptor.digest) return;
  const headers = { 'content-type': descriptor.mediaType, 'content-length': String(bytes.length) };
  const put = await api.call(
    endpoint,
    ref,
    { method: 'PUT', path, headers, body: async () => bytes, accept: [200, 201, 202], push: true },
    context,
  );
  await put.discard();
  const named = put.header('docker-content-digest');
  if (named !== undefined && named !== descriptor.digest) {
    throw new BuildError(
      Code.FailedPrecondition,
      `got digest ${named} for ${formatReference(ref)}, expected ${descriptor.digest}`,
    );
  }
}
