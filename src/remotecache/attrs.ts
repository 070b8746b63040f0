/** What clients write after `--export-cache` and `--import-cache`. */
import { BuildError, Code, invalidArgument } from '../base/index.ts';
import type { Compression, CompressionType } from '../oci/types.ts';

export type CacheAttrs = ReadonlyMap<string, string>;

export interface CacheEntry {
  readonly type: string;
  readonly attrs: CacheAttrs;
}

function parseBool(value: string): boolean | undefined {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  return ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value) ? false : undefined;
}

/** Go's strconv.ParseBool and its complaint. */
export function flagOf(attrs: CacheAttrs, key: string, context = `failed to parse ${key}`): boolean | undefined {
  const value = attrs.get(key);
  if (value === undefined) return undefined;
  const parsed = parseBool(value);
  if (parsed !== undefined) return parsed;
  throw invalidArgument(`${context}: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
}

/** What is no bool counts as false (upstream: control/control.go parseCacheExportIgnoreError). */
export function ignoresErrors(attrs: CacheAttrs): boolean {
  return parseBool(attrs.get('ignore-error') ?? '') ?? false;
}

/** What is unknown counts as min (upstream: control/control.go parseCacheExportMode). */
export function modeOf(attrs: CacheAttrs): 'min' | 'max' {
  return attrs.get('mode') === 'max' ? 'max' : 'min';
}

const TYPES: ReadonlySet<string> = new Set<CompressionType>(['uncompressed', 'gzip', 'estargz', 'zstd']);

/** Upstream: util/compression/attrs.go. Exporters of images take the same attributes. */
export function compressionOfAttrs(attrs: CacheAttrs): Compression {
  const type = attrs.get('compression') ?? 'gzip';
  if (!TYPES.has(type)) throw invalidArgument(`unsupported compression type ${type}`);
  const given = attrs.get('force-compression');
  const complaint = `non-bool value ${given} specified for force-compression`;
  const force = given === '' || flagOf(attrs, 'force-compression', complaint) === true;
  const level = attrs.get('compression-level');
  if (level === undefined) return { type: type as CompressionType, force };
  if (!/^[+-]?\d{1,9}$/.test(level)) {
    throw new BuildError(
      Code.Unknown,
      `non-integer value ${level} specified for compression-level: strconv.ParseInt: parsing ${JSON.stringify(level)}: invalid syntax`,
    );
  }
  return { type: type as CompressionType, force, level: Number(level) };
}

export interface ManifestForm {
  readonly ociTypes: boolean;
  readonly imageManifest: boolean;
}

/** Upstream: cache/remotecache/registry/registry.go. */
export function manifestFormOf(attrs: CacheAttrs): ManifestForm {
  const ociTypes = flagOf(attrs, 'oci-mediatypes') ?? true;
  return { ociTypes, imageManifest: flagOf(attrs, 'image-manifest') ?? ociTypes };
}
