import { BuildError, Code, invalidArgument } from '../base/index.ts';
import type { Compression, CompressionType } from '../oci/types.ts';
import { Annotations } from './annotations.ts';
import { parseGoBool, parseGoInt } from './go-values.ts';
import { parseEpoch } from './result.ts';
import type { Epoch } from './result.ts';

/** What all exporters of images understand. */
export interface ImageOptions {
  readonly name: string;
  readonly compression: Compression;
  /** undefined: as the exporter does by default. */
  readonly ociTypes: boolean | undefined;
  readonly ociArtifact: boolean | undefined;
  /** Attestations that are only for images count where it is decided whether there is an index. undefined: as the exporter does. */
  readonly inlineAttestations: boolean | undefined;
  readonly annotations: Annotations;
  /** undefined: as the result says. */
  readonly epoch: Epoch | undefined;
  /** Layers that may not be pushed stay what they are. */
  readonly keepForeign: boolean;
  readonly rewriteTimestamp: boolean;
  /** Attributes that are for the exporter itself, or become metadata. */
  readonly rest: ReadonlyMap<string, string>;
}

const TYPES: ReadonlySet<string> = new Set<CompressionType>(['uncompressed', 'gzip', 'estargz', 'zstd']);

function parseCompression(attrs: ReadonlyMap<string, string>): Compression {
  const type = attrs.get('compression') ?? 'gzip';
  if (!TYPES.has(type)) throw invalidArgument(`unsupported compression type ${type}`);
  const forced = attrs.get('force-compression');
  const force =
    forced !== undefined &&
    (forced === '' || parseGoBool('', forced, `non-bool value ${forced} specified for force-compression`));
  const given = attrs.get('compression-level');
  if (given === undefined) return { type: type as CompressionType, force };
  const level = parseGoInt(given, `non-integer value ${given} specified for compression-level`);
  return { type: type as CompressionType, force, level };
}

const OWN = new Set([
  'compression',
  'force-compression',
  'compression-level',
  'name',
  'oci-mediatypes',
  'oci-artifact',
  'attestation-inline',
  'prefer-nondist-layers',
  'rewrite-timestamp',
  'source-date-epoch',
]);

export function parseImageOptions(attrs: ReadonlyMap<string, string>): ImageOptions {
  const { annotations, rest } = Annotations.parse(attrs);
  const flag = (key: string): boolean | undefined => {
    const value = rest.get(key);
    return value === undefined ? undefined : parseGoBool(key, value);
  };
  const epoch = rest.get('source-date-epoch');
  const options: ImageOptions = {
    name: rest.get('name') ?? '',
    compression: parseCompression(rest),
    ociTypes: flag('oci-mediatypes'),
    ociArtifact: flag('oci-artifact'),
    inlineAttestations: flag('attestation-inline'),
    annotations,
    epoch: epoch === undefined ? undefined : parseEpoch('source-date-epoch', epoch),
    keepForeign: flag('prefer-nondist-layers') ?? false,
    rewriteTimestamp: flag('rewrite-timestamp') ?? false,
    rest: new Map([...rest].filter(([key]) => !OWN.has(key))),
  };
  validateImageOptions(options);
  return options;
}

/** Throws where media types and what they must carry do not go together. */
export function validateImageOptions(options: ImageOptions): void {
  if (options.ociTypes === undefined || options.ociTypes) return;
  const { type } = options.compression;
  if (type === 'estargz') {
    throw new BuildError(Code.Unknown, `exporter option "compression=${type}" conflicts with "oci-mediatypes=false"`);
  }
  if (options.ociArtifact === true) {
    throw new BuildError(Code.Unknown, 'exporter option "oci-artifact=true" conflicts with "oci-mediatypes=false"');
  }
}

/** `key=` and `key` alone are true for the exporters' own flags. */
export function takeFlag(attrs: Map<string, string>, key: string, byDefault: boolean): boolean {
  const value = attrs.get(key);
  if (value === undefined) return byDefault;
  attrs.delete(key);
  return value === '' || parseGoBool(key, value);
}
