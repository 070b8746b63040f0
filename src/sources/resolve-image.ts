/** From a reference to the descriptor that it names now: the registry says, or the images that are kept here. */
import { toBuildError } from '../base/index.ts';
import { formatReference, parseReference, withDigest } from '../oci/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type { ResolveMode } from './image-attrs.ts';
import { createSessionAuth } from './session-auth.ts';
import type { Asker, ImageDeps } from './image-origin.ts';

export interface Resolved {
  /** With the digest. */
  readonly ref: string;
  readonly descriptor: Descriptor;
}

/** A pinned image whose manifest was fetched from that repository before needs no registry. */
async function findPinned(deps: ImageDeps, ref: string, mode: ResolveMode): Promise<Resolved | undefined> {
  const { domain, path, digest } = parseReference(ref);
  if (digest === undefined || mode === 'pull') return undefined;
  const info = await deps.content.info(digest);
  const sources = info?.labels.get(`containerd.io/distribution.source.${domain}`)?.split(',') ?? [];
  const mediaType = info?.labels.get('buildkit.io/blob/mediatype');
  if (info === undefined || mediaType === undefined || !sources.includes(path)) return undefined;
  return { ref, descriptor: { mediaType, digest, size: info.size } };
}

function findLocal(deps: ImageDeps, ref: string): Resolved | undefined {
  const target = deps.images?.find(ref)?.target;
  return target && { ref: formatReference(withDigest(parseReference(ref), target.digest)), descriptor: target };
}

export async function resolveImage(deps: ImageDeps, ref: string, mode: ResolveMode, asker: Asker): Promise<Resolved> {
  const pinned = await findPinned(deps, ref, mode);
  if (pinned !== undefined) return pinned;
  const local = mode === 'pull' ? undefined : findLocal(deps, ref);
  if (mode === 'local' && local !== undefined) return local;
  try {
    const auth = createSessionAuth(deps.sessions, asker.sessions, asker.signal);
    return await deps.registry.resolve(ref, { ...asker, auth });
  } catch (error) {
    if (local === undefined || toBuildError(error).isCanceled) throw error;
    return local;
  }
}
