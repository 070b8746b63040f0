import { isNotFound } from '../../base/index.ts';
import type { GoJsonValue } from '../../oci/index.ts';
import type { Descriptor } from '../../oci/types.ts';
import { keysBelow } from '../../solver/index.ts';
import type { CachedResult, CacheKey, CacheManager } from '../../solver/index.ts';
import type { ImmutableRef, StorageContext } from '../../storage/types.ts';
import type { StepNumbers } from './build-steps.ts';

/** Annotations that are for this daemon only. */
const INTERNAL = ['containerd.io/uncompressed', 'buildkit/createdat'];

function layerJson({ mediaType, digest, size, urls, annotations = {} }: Descriptor): GoJsonValue {
  const shown = Object.entries(annotations).filter(
    ([key]) => !INTERNAL.includes(key) && !key.startsWith('containerd.io/distribution.source.'),
  );
  return {
    mediaType,
    digest,
    size,
    urls: urls === undefined || urls.length === 0 ? undefined : urls,
    annotations: shown.length === 0 ? undefined : new Map(shown),
  };
}

/** The layers that the newest result of that key has already. */
async function existingLayers(
  key: CacheKey,
  managers: readonly CacheManager[],
  context: StorageContext,
): Promise<readonly Descriptor[]> {
  const found = await Promise.all(managers.map((manager) => manager.records(key)));
  const records = found
    .flat()
    .toSorted((a, b) => (a.createdAt === b.createdAt ? a.priority - b.priority : a.createdAt > b.createdAt ? -1 : 1));
  for (const record of records) {
    try {
      const result = await record.manager.load(record);
      try {
        const ref = result.sys as ImmutableRef | undefined;
        const remote = await ref?.remote({ type: 'gzip', force: false }, { create: false }, context);
        return remote?.descriptors ?? [];
      } finally {
        await result.release();
      }
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  return [];
}

/** Chains of layers that one output of a step made. */
export interface MadeLayers {
  /** The step's op. */
  readonly vertex: string;
  readonly output: number;
  readonly chains: readonly (readonly Descriptor[])[];
}

/** Which layers the steps below a result made, as far as they are made: each chain once. */
export async function layersBelow(result: CachedResult, context: StorageContext): Promise<readonly MadeLayers[]> {
  const made = new Map<string, { vertex: string; output: number; chains: Map<string, readonly Descriptor[]> }>();
  const keys = keysBelow(result.cacheKeys.slice(0, 1));
  // A key that was made before its result was stored does not know where that is.
  const managers = [...new Set(keys.flatMap((key) => [...key.stored.keys()]))];
  for (const key of keys) {
    const { vertex, output } = key;
    if (vertex === undefined || key.exportCache === false) continue;
    const layers = await existingLayers(key, managers, context);
    if (layers.length === 0) continue;
    const id = `${vertex}:${output}`;
    const known = made.get(id) ?? { vertex, output, chains: new Map<string, readonly Descriptor[]>() };
    const chain = layers.map((layer) => layer.digest).join();
    if (!known.chains.has(chain)) known.chains.set(chain, layers);
    made.set(id, known);
  }
  return [...made.values()].map(({ chains, ...rest }) => ({ ...rest, chains: [...chains.values()] }));
}

/** By `step<number>:<output>`; what is not among the steps is left out. */
export function layersJson(made: readonly MadeLayers[], numbers: StepNumbers): GoJsonValue | undefined {
  const shown = made.filter(({ vertex }) => numbers.has(vertex));
  if (shown.length === 0) return undefined;
  return new Map(
    shown.map(({ vertex, output, chains }) => [
      `step${numbers.get(vertex)}:${output}`,
      chains.map((layers) => layers.map(layerJson)),
    ]),
  );
}
