/** Where the parts of an image come from: a registry, or a client's OCI layout. */
import { BuildError, Code, invalidArgument } from '../base/index.ts';
import { restartingReader } from '../content/index.ts';
import type { ContentStore } from '../content/types.ts';
import { detectManifestType, digestOf, parseReference } from '../oci/index.ts';
import type { Descriptor, Digest } from '../oci/index.ts';
import type { Registry } from '../registry/types.ts';
import { SessionContent } from '../session/index.ts';
import type { SessionCaller, SessionManager } from '../session/types.ts';
import type { ImageStore, LazyBlobProvider } from '../storage/index.ts';
import { createSessionAuth } from './session-auth.ts';

export interface ImageDeps {
  readonly registry: Registry;
  readonly sessions: SessionManager;
  readonly content: ContentStore;
  /** Images that were built here and kept by name. */
  readonly images?: ImageStore;
}

/** Who asks: cancellation and the clients that may be asked for credentials or blobs. */
export interface Asker {
  readonly signal?: AbortSignal;
  readonly sessions: () => readonly string[];
  readonly onLog?: (line: string) => void;
}

/** The parts of one image. */
export interface ImageOrigin extends LazyBlobProvider {
  /** Blobs of the store that are known to come from here carry this label. */
  readonly label?: readonly [key: string, value: string];
}

/** Whoever reads now is asked, else whoever made the record. */
function askedBy(asker: Asker, readers: (() => readonly string[]) | undefined): () => readonly string[] {
  return () => {
    const now = readers?.() ?? [];
    return now.length > 0 ? now : asker.sessions();
  };
}

const nobody: Asker = { sessions: () => [] };

export function registryOrigin(deps: ImageDeps, ref: string, asker: Asker, insecure = false): ImageOrigin {
  const { domain, path } = parseReference(ref);
  return {
    origin: JSON.stringify({ kind: 'registry', ref, ...(insecure ? { insecure } : {}) }),
    label: [`containerd.io/distribution.source.${domain}`, path],
    reader: async (descriptor, signal, readers) => {
      const joined = signal ?? asker.signal;
      const auth = createSessionAuth(deps.sessions, askedBy(asker, readers), joined);
      const full = { mediaType: '', ...descriptor };
      const context = {
        auth,
        insecure,
        ...(joined === undefined ? {} : { signal: joined }),
        ...(asker.onLog === undefined ? {} : { onLog: asker.onLog }),
      };
      return restartingReader(descriptor.size, () => deps.registry.fetch(ref, full, context));
    },
  };
}

/** Manifests of the registry that are about that one. */
export function referrersOf(
  deps: ImageDeps,
  ref: string,
  digest: Digest,
  asker: Asker,
): Promise<readonly Descriptor[]> {
  const { signal, onLog } = asker;
  const auth = createSessionAuth(deps.sessions, asker.sessions, signal);
  return deps.registry.referrers(ref, digest, {
    auth,
    ...(signal === undefined ? {} : { signal }),
    ...(onLog === undefined ? {} : { onLog }),
  });
}

export interface LayoutStore {
  readonly sessionId: string;
  readonly storeId: string;
}

async function onLayout<T>(
  deps: ImageDeps,
  store: LayoutStore,
  sessions: () => readonly string[],
  signal: AbortSignal | undefined,
  work: (content: SessionContent) => Promise<T>,
): Promise<T> {
  const call = (caller: SessionCaller): Promise<T> => work(new SessionContent(caller, `oci:${store.storeId}`));
  if (store.sessionId !== '') return call(await deps.sessions.get(store.sessionId, { noWait: true }));
  return deps.sessions.any(sessions, signal, call);
}

export function layoutOrigin(deps: ImageDeps, store: LayoutStore, asker: Asker): ImageOrigin {
  return {
    origin: JSON.stringify({ kind: 'oci-layout', session: store.sessionId, store: store.storeId }),
    reader: (descriptor, signal, readers) => {
      const joined = signal ?? asker.signal;
      return onLayout(deps, store, askedBy(asker, readers), joined, (content) => content.reader(descriptor, joined));
    },
  };
}

/** How large a blob of the layout is. Throws NotFound. */
export function layoutBlobSize(deps: ImageDeps, store: LayoutStore, digest: Digest, asker: Asker): Promise<number> {
  return onLayout(
    deps,
    store,
    asker.sessions,
    asker.signal,
    async (content) => (await content.info(digest, asker.signal)).size,
  );
}

/** What an OCI layout has under that digest, with its size and type. */
export async function describeLayoutRoot(
  deps: ImageDeps,
  store: LayoutStore,
  digest: Digest,
  asker: Asker,
  limit: number,
): Promise<Descriptor> {
  const bytes = await onLayout(deps, store, asker.sessions, asker.signal, (content) =>
    content.small(digest, limit, asker.signal),
  );
  if (digestOf(bytes) !== digest)
    throw new BuildError(Code.FailedPrecondition, `unexpected digest ${digestOf(bytes)}, expected ${digest}`);
  return { mediaType: detectManifestType(bytes), digest, size: bytes.length };
}

/** Makes the provider of a lazy blob again, after a restart: for OpenStorageOptions.reopenProvider. Nobody is asked for credentials. */
export function createReopenProvider(deps: ImageDeps): (origin: string) => LazyBlobProvider | undefined {
  return (origin) => {
    let json: { kind?: unknown; ref?: unknown; insecure?: unknown; session?: unknown; store?: unknown };
    try {
      json = JSON.parse(origin) as typeof json;
    } catch (error) {
      throw invalidArgument(`invalid blob origin: ${(error as Error).message}`, { cause: error });
    }
    if (json.kind === 'registry' && typeof json.ref === 'string') {
      return registryOrigin(deps, json.ref, nobody, json.insecure === true);
    }
    if (json.kind === 'oci-layout' && typeof json.session === 'string' && typeof json.store === 'string') {
      return layoutOrigin(deps, { sessionId: json.session, storeId: json.store }, nobody);
    }
    return undefined;
  };
}
