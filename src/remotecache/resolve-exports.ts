/** From what a client asks for to exporters; everything is checked before the build starts. */
import { BuildError, Code, invalidArgument, wrapError } from '../base/index.ts';
import { compressionOfAttrs, ignoresErrors, manifestFormOf, modeOf } from './attrs.ts';
import type { CacheEntry } from './attrs.ts';
import { exportCache } from './export.ts';
import { localSink, registrySink } from './places.ts';
import type { CacheExporter, RemoteCacheDeps } from './types.ts';

/** Upstream has them; this daemon does not. */
const ELSEWHERE: ReadonlySet<string> = new Set(['gha', 's3', 'azblob']);
const NAMES: Readonly<Record<string, string>> = {
  registry: 'exporting cache to registry',
  local: 'exporting cache to client directory',
};

function identityOf({ type, attrs }: CacheEntry): string {
  const ref = attrs.get('ref') ?? '';
  return type === 'registry' && ref !== '' ? ref : JSON.stringify([type, [...attrs].toSorted()]);
}

function exporterOf(deps: RemoteCacheDeps, { type, attrs }: CacheEntry): CacheExporter {
  if (!Object.hasOwn(NAMES, type)) {
    if (!ELSEWHERE.has(type)) throw invalidArgument(`unknown cache exporter: ${JSON.stringify(type)}`);
    throw new BuildError(
      Code.Unimplemented,
      `cache exporter ${JSON.stringify(type)} is not supported by this daemon yet`,
    );
  }
  try {
    const open = type === 'registry' ? registrySink(deps, attrs) : localSink(deps, attrs);
    const options = { mode: modeOf(attrs), compression: compressionOfAttrs(attrs), form: manifestFormOf(attrs), open };
    return {
      name: NAMES[type],
      ignoreError: ignoresErrors(attrs),
      isAtClient: type === 'local',
      export: (results, context) => exportCache(results, options, context),
    };
  } catch (error) {
    throw wrapError(error, `failed to configure ${type} cache exporter`);
  }
}

export interface ResolvedExports {
  /** Images carry their cache: see inlineCacheOf. */
  readonly inline: boolean;
  readonly exporters: readonly CacheExporter[];
}

/** Throws InvalidArgument. A second `inline` does not count (upstream: control/control.go findDuplicateCacheOptions). */
export function resolveExports(deps: RemoteCacheDeps, entries: readonly CacheEntry[]): ResolvedExports {
  const written = entries.filter((e) => e.type !== 'inline');
  const seen = new Set<string>();
  const duplicates = new Map<string, string>();
  for (const entry of written) {
    const id = identityOf(entry);
    if (seen.has(id)) duplicates.set(id, entry.type);
    seen.add(id);
  }
  if (duplicates.size > 0) {
    throw new BuildError(Code.Unknown, `duplicate cache exports [${[...duplicates.values()].join(' ')}]`);
  }
  return { inline: written.length < entries.length, exporters: written.map((entry) => exporterOf(deps, entry)) };
}
