/** From what a client asks for to caches that are read when they are first looked into. */
import { BuildError, Code, invalidArgument, wrapError } from '../base/index.ts';
import { restartingReader } from '../content/index.ts';
import { digestOf, parseDigest } from '../oci/index.ts';
import type { CacheManager } from '../solver/index.ts';
import { flagOf } from './attrs.ts';
import type { CacheAttrs, CacheEntry } from './attrs.ts';
import { readCache } from './import.ts';
import type { CacheOrigin } from './import.ts';
import { createImportedCache } from './imported-cache.ts';
import type { ResultMaker } from './imported-cache.ts';
import { clientStore, registryRef } from './places.ts';
import type { CacheContext, RemoteCacheDeps } from './types.ts';

export interface CacheImporter {
  /** Equal for equal entries: names the cache, and the step that reads it. */
  readonly id: string;
  /** Throws what is wrong with the cache. */
  open(context: CacheContext): Promise<CacheManager>;
}

type ImportDeps = RemoteCacheDeps & ResultMaker;

function orElse(
  readers: (() => readonly string[]) | undefined,
  importers: () => readonly string[],
): () => readonly string[] {
  return readers === undefined || readers().length === 0 ? importers : readers;
}

async function openRegistry(deps: ImportDeps, attrs: CacheAttrs, context: CacheContext): Promise<CacheOrigin> {
  const insecure = flagOf(attrs, 'registry.insecure') ?? false;
  const sessions = (): readonly string[] => (context.sessionId === '' ? [] : [context.sessionId]);
  const onLog = (line: string): void => context.progress.log(2, Buffer.from(`${line}\n`));
  const { signal } = context;
  const asker = { auth: deps.auth(sessions, signal), signal, onLog, insecure };
  const { ref, descriptor } = await deps.registry.resolve(registryRef(attrs), asker);
  return {
    root: descriptor,
    provider: {
      // As sources/ writes it: after a restart the layers are asked for as those of any image.
      origin: JSON.stringify({ kind: 'registry', ref, ...(insecure ? { insecure } : {}) }),
      // Layers are read long after the import has ended, for whoever wants them then.
      reader: async (blob, asked, readers) =>
        restartingReader(blob.size, () =>
          deps.registry.fetch(
            ref,
            { mediaType: '', ...blob },
            {
              auth: deps.auth(orElse(readers, sessions), asked),
              insecure,
              ...(asked === undefined ? {} : { signal: asked }),
            },
          ),
        ),
    },
  };
}

async function openLocal(deps: ImportDeps, { attrs }: CacheEntry, context: CacheContext): Promise<CacheOrigin> {
  const digest = attrs.get('digest') ?? '';
  if (digest === '') throw invalidArgument('local cache importer requires explicit digest');
  const directory = attrs.get('src') ?? '';
  if (directory === '') throw invalidArgument('local cache importer requires src');
  const root = parseDigest(digest);
  const store = await clientStore(deps.sessions, directory, context);
  const { size } = await store.info(root, context.signal);
  return {
    root: { mediaType: '', digest: root, size },
    provider: {
      origin: JSON.stringify({ kind: 'local-cache', session: context.sessionId, store: directory }),
      reader: (blob, signal) => store.reader(blob, signal),
    },
  };
}

function idOf({ type, attrs }: CacheEntry): string {
  const ref = attrs.get('ref') ?? '';
  if (type === 'registry' && ref !== '') return ref;
  return `${type}:${digestOf(JSON.stringify([...attrs].toSorted())).slice('sha256:'.length, 23)}`;
}

/** What is wrong with an entry shows when its cache is opened: a build does without. */
export function resolveImporter(deps: ImportDeps, entry: CacheEntry): CacheImporter {
  const id = idOf(entry);
  const origin = async (context: CacheContext): Promise<CacheOrigin> => {
    if (entry.type !== 'registry' && entry.type !== 'local') {
      throw new BuildError(Code.InvalidArgument, `unknown cache importer: ${entry.type}`);
    }
    try {
      return entry.type === 'registry'
        ? await openRegistry(deps, entry.attrs, context)
        : await openLocal(deps, entry, context);
    } catch (error) {
      throw wrapError(error, `failed to configure ${entry.type} cache importer`);
    }
  };
  return {
    id,
    open: async (context) => {
      const opened = await origin(context);
      return createImportedCache(id, await readCache(opened, context), opened.provider, deps);
    },
  };
}
