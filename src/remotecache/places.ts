/** Where caches are written: a repository of a registry, a directory of the client. */
import { BuildError, Code, invalidArgument } from '../base/index.ts';
import { bytesReader } from '../content/index.ts';
import type { ContentProvider } from '../content/types.ts';
import { normalizeReference } from '../oci/index.ts';
import type { Descriptor } from '../oci/types.ts';
import type { Registry } from '../registry/types.ts';
import { SessionContent } from '../session/index.ts';
import type { SessionManager } from '../session/types.ts';
import { flagOf } from './attrs.ts';
import type { CacheAttrs } from './attrs.ts';
import type { CacheContext, RemoteCacheDeps } from './types.ts';

export interface CacheSink {
  putBlob(descriptor: Descriptor, provider: ContentProvider): Promise<void>;
  putManifest(descriptor: Descriptor, bytes: Uint8Array): Promise<void>;
}

/** Opens when it is read from, closes with the loop. */
async function* streamOf(
  provider: ContentProvider,
  descriptor: Descriptor,
  signal: AbortSignal,
  offset = 0,
): AsyncGenerator<Uint8Array> {
  const reader = await provider.reader(descriptor, signal);
  try {
    yield* reader.stream(offset);
  } finally {
    await reader.close();
  }
}

export function bytesProvider(bytes: Uint8Array): ContentProvider {
  return { reader: async () => bytesReader(bytes) };
}

export function registryRef(attrs: CacheAttrs): string {
  const ref = attrs.get('ref') ?? '';
  if (ref === '') throw invalidArgument('missing ref');
  return normalizeReference(ref);
}

export function registrySink(
  deps: { registry: Registry; auth: RemoteCacheDeps['auth'] },
  attrs: CacheAttrs,
): (context: CacheContext) => Promise<CacheSink> {
  const ref = registryRef(attrs);
  const insecure = flagOf(attrs, 'registry.insecure') ?? false;
  return async ({ sessionId, signal, progress }) => {
    const options = {
      auth: deps.auth(() => (sessionId === '' ? [] : [sessionId]), signal),
      signal,
      insecure,
      onLog: (line: string) => progress.log(2, Buffer.from(`${line}\n`)),
    };
    return {
      putBlob: (descriptor, provider) =>
        deps.registry.pushBlob(ref, descriptor, async () => streamOf(provider, descriptor, signal), options),
      putManifest: (descriptor, bytes) => deps.registry.pushManifest(ref, descriptor, bytes, options),
    };
  };
}

/** How long the client may take to appear (upstream: cache/remotecache/local/local.go). */
const SESSION_WAIT_MS = 5_000;

export async function clientStore(
  sessions: SessionManager,
  directory: string,
  context: { sessionId: string; signal: AbortSignal },
): Promise<SessionContent> {
  const { sessionId } = context;
  if (sessionId === '') throw new BuildError(Code.Unknown, 'local cache exporter/importer requires session');
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(SESSION_WAIT_MS)]);
  return new SessionContent(await sessions.get(sessionId, { signal }), `local:${directory}`);
}

async function has(store: SessionContent, descriptor: Descriptor, signal: AbortSignal): Promise<boolean> {
  try {
    return (await store.info(descriptor.digest, signal)).size === descriptor.size;
  } catch {
    signal.throwIfAborted();
    return false; // the write tells what is wrong
  }
}

export function localSink(
  deps: { sessions: SessionManager },
  attrs: CacheAttrs,
): (context: CacheContext) => Promise<CacheSink> {
  const directory = attrs.get('dest') ?? '';
  if (directory === '') throw invalidArgument('local cache exporter requires dest');
  return async (context) => {
    const { signal } = context;
    const store = await clientStore(deps.sessions, directory, context);
    const putBlob = async (descriptor: Descriptor, provider: ContentProvider): Promise<void> => {
      if (await has(store, descriptor, signal)) return;
      const writer = await store.writer(descriptor.digest, signal);
      try {
        // A write that was cut earlier goes on.
        for await (const chunk of streamOf(provider, descriptor, signal, writer.offset)) await writer.write(chunk);
        await writer.commit({ digest: descriptor.digest, size: descriptor.size });
      } catch (error) {
        await writer.abort();
        throw error;
      }
    };
    return { putBlob, putManifest: (descriptor, bytes) => putBlob(descriptor, bytesProvider(bytes)) };
  };
}
