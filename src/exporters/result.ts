import { BuildError, Code, wrapError } from '../base/index.ts';
import { defaultPlatform, formatPlatform, normalizePlatform } from '../oci/index.ts';
import type { Platform } from '../oci/index.ts';
import type { BuildResult } from '../llb/index.ts';
import type { ImmutableRef } from '../storage/types.ts';
import { parseGoInt } from './go-values.ts';
import type { ExporterInstance } from './types.ts';

/** Metadata keys that frontends set (exporter/containerimage/exptypes upstream). */
const PLATFORMS = 'refs.platforms';
const EPOCH = 'source.date.epoch';
export const IMAGE_CONFIG = 'containerimage.config';
export const BASE_CONFIG = 'containerimage.base.config';

export type ExportedResult = Parameters<ExporterInstance['export']>[0];

export interface ResultPlatform {
  readonly id: string;
  readonly platform: Platform;
}

const fail = (text: string): BuildError => new BuildError(Code.Unknown, text);

interface PlatformJson {
  readonly architecture?: string;
  readonly os?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[] | null;
  readonly variant?: string;
}

function platformOf(json: PlatformJson): Platform {
  const { architecture = '', os = '', variant, 'os.version': osVersion, 'os.features': osFeatures } = json;
  return normalizePlatform({
    os,
    architecture,
    ...(variant === undefined || variant === '' ? {} : { variant }),
    ...(osVersion === undefined || osVersion === '' ? {} : { osVersion }),
    ...(osFeatures === undefined || osFeatures === null || osFeatures.length === 0 ? {} : { osFeatures }),
  });
}

function parseJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw wrapError(error, what);
  }
}

/** The platforms of a result in their order; of one that does not say, that of its image config or the daemon's own. */
export function platformsOf(result: Pick<ExportedResult, 'metadata'>): readonly ResultPlatform[] {
  const listed = result.metadata.get(PLATFORMS);
  if (listed !== undefined) {
    const value =
      listed.length === 0 ? {} : parseJson(listed, 'failed to parse platforms passed to provenance processor');
    const platforms = (value as { Platforms?: { ID?: string; Platform?: PlatformJson }[] } | null)?.Platforms;
    if (!Array.isArray(platforms) || platforms.length === 0) throw fail('invalid empty platforms index for exporter');
    return platforms.map(({ ID: id = '', Platform: platform = {} }) => {
      if (id === '') throw fail('invalid empty platform key for exporter');
      if (!platform.os || !platform.architecture) {
        throw fail(`invalid platform value ${JSON.stringify(platform)} for exporter`);
      }
      return { id, platform: platformOf(platform) };
    });
  }
  const config = result.metadata.get(IMAGE_CONFIG);
  let platform = defaultPlatform();
  if (config !== undefined) {
    const json = parseJson(config, 'invalid image config') as PlatformJson | null;
    const { os = '', architecture = '' } = json ?? {};
    if ((os === '') !== (architecture === '')) {
      throw fail('invalid image config: os and architecture must be specified together');
    }
    if (json !== null && os !== '') platform = platformOf(json);
  }
  platform = normalizePlatform(platform);
  return [{ id: formatPlatform(platform), platform }];
}

export function requirePlatformMap(result: ExportedResult): void {
  if ((result.refs?.size ?? 0) > 0 && !result.metadata.has(PLATFORMS)) {
    throw fail('unable to export multiple refs, missing platforms mapping');
  }
}

/** A result with one ref per platform. */
export function isPerPlatform(result: ExportedResult): boolean {
  return (result.refs?.size ?? 0) > 0;
}

/** The ref of one platform; a result without a map, or with one ref, has that for all. */
export function refOfPlatform<T>(result: Pick<BuildResult<T>, 'ref' | 'refs'>, id: string): T | undefined {
  const { ref, refs = new Map<string, T>() } = result;
  if (refs.size === 0) return ref;
  if (refs.has(id)) return refs.get(id);
  if (refs.size > 1) throw fail(`failed to find ref for ID ${id}`);
  return refs.values().next().value;
}

/** What a client may call the platform: as it was asked for, and with what the base image knew besides (Windows' os.version). */
export function namesOfPlatform({ id, platform }: ResultPlatform): readonly string[] {
  return [...new Set([id, formatPlatform(platform)])];
}

/** Whether there is something for a platform of that name. A result with one ref has that for all. */
export function hasPlatform(result: ExportedResult, name: string): boolean {
  if (result.refs === undefined || result.refs.size < 2) return true;
  return result.refs.has(name) || platformsOf(result).some((platform) => namesOfPlatform(platform).includes(name));
}

/** Every ref of the result once. */
export function refsOf(result: ExportedResult): ImmutableRef[] {
  const refs = [result.ref, ...(result.refs?.values() ?? [])];
  return [...new Set(refs.filter((ref) => ref !== undefined))];
}

/** Metadata of a platform, or that for all. */
export function platformMetadata(result: ExportedResult, key: string, id: string | undefined): Uint8Array | undefined {
  const own = id === undefined ? undefined : result.metadata.get(`${key}/${id}`);
  return own ?? result.metadata.get(key);
}

/** Seconds since 1970 that times are cut to; undefined: none. */
export interface Epoch {
  readonly seconds: number | undefined;
}

export function parseEpoch(key: string, value: string): Epoch {
  return { seconds: value === '' ? undefined : parseGoInt(value, `invalid ${key}`) };
}

/** The epoch that a frontend gave: for one platform, or for all. */
export function epochOf(result: ExportedResult, id: string | undefined): number | undefined {
  const value = platformMetadata(result, EPOCH, id);
  if (value === undefined) return undefined;
  const text = Buffer.from(value).toString('utf8');
  try {
    return parseEpoch('', text).seconds;
  } catch (error) {
    throw wrapError(error, `invalid SOURCE_DATE_EPOCH from frontend: ${JSON.stringify(text)}`);
  }
}

export const epochNs = (seconds: number): bigint => BigInt(seconds) * 1_000_000_000n;
