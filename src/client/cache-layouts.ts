/**
 * Which cache manifest a layout of this machine got. The daemon's answer names one for all `--export-cache`, the last one's, so
 * with several of them it is not in every layout; what the daemon looked for and wrote there tells.
 */
import { readBlob } from '../content/index.ts';
import type { ContentStore } from '../content/types.ts';
import { detectManifestType } from '../oci/index.ts';
import type { Descriptor, Digest } from '../oci/types.ts';

const CACHE_CONFIG = 'application/vnd.buildkit.cacheconfig.v0';
const MAX_MANIFEST = 8 << 20;

export interface WatchedStore {
  readonly store: ContentStore;
  /** What was asked for or written, the last one last. */
  readonly touched: ReadonlySet<Digest>;
}

export function watchStore(store: ContentStore): WatchedStore {
  const touched = new Set<Digest>();
  const touch = (digest: Digest): void => {
    touched.delete(digest);
    touched.add(digest);
  };
  const watched: ContentStore = {
    info: (digest) => {
      touch(digest);
      return store.info(digest);
    },
    writer: async (ref) => {
      const writer = await store.writer(ref);
      return {
        ref: writer.ref,
        get offset() {
          return writer.offset;
        },
        write: (chunk) => writer.write(chunk),
        abort: () => writer.abort(),
        commit: async (expected) => {
          const digest = await writer.commit(expected);
          touch(digest);
          return digest;
        },
      };
    },
    reader: (descriptor, signal) => store.reader(descriptor, signal),
    pathOf: (digest) => store.pathOf(digest),
    temporaryPath: () => store.temporaryPath(),
    adopt: (path, blob) => store.adopt(path, blob),
    setLabels: (digest, labels) => store.setLabels(digest, labels),
    delete: (digest) => store.delete(digest),
    list: () => store.list(),
  };
  return { store: watched, touched };
}

function isCacheManifest(bytes: Uint8Array): boolean {
  const json = JSON.parse(Buffer.from(bytes).toString('utf8')) as { config?: unknown; manifests?: unknown };
  const parts = [json.config, ...(Array.isArray(json.manifests) ? json.manifests : [])];
  return parts.some((part) => (part as { mediaType?: unknown } | null | undefined)?.mediaType === CACHE_CONFIG);
}

/** `told` where it is there, else the last cache manifest that came; undefined where none came. */
export async function cacheManifestIn(
  { store, touched }: WatchedStore,
  told: Descriptor,
): Promise<Descriptor | undefined> {
  if (touched.has(told.digest)) return told;
  for (const digest of [...touched].toReversed()) {
    const found = await store.info(digest);
    if (found === undefined || found.size > MAX_MANIFEST) continue;
    const bytes = await readBlob(store, found, { limit: MAX_MANIFEST });
    try {
      if (isCacheManifest(bytes)) return { mediaType: detectManifestType(bytes), digest, size: found.size };
    } catch {
      // A layer is no JSON.
    }
  }
  return undefined;
}
