import { invalidArgument, wrapError } from '../base/index.ts';
import { formatReference, parseDigest, parseReference } from '../oci/index.ts';
import type { Digest } from '../oci/index.ts';
import type { RecordType } from '../storage/types.ts';
import type { SourceRequest } from './types.ts';

export type ResolveMode = 'default' | 'pull' | 'local';

/** What the attributes of an image source say. */
export interface ImageRequest {
  /** Complete, with tag or digest. */
  readonly ref: string;
  readonly resolveMode: ResolveMode;
  readonly recordType?: RecordType;
  readonly layerLimit?: number;
  readonly checksum?: Digest;
}

export interface LayoutRequest {
  readonly ref: string;
  readonly digest: Digest;
  /** '' for any of the build's sessions. */
  readonly sessionId: string;
  readonly storeId: string;
  readonly layerLimit?: number;
}

const MODES: readonly string[] = ['default', 'pull', 'local'];
const RECORD_TYPES: readonly string[] = ['regular', 'internal', 'frontend'];

function layerLimit(text: string | undefined): { layerLimit?: number } {
  if (text === undefined) return {};
  if (!/^\+?\d{1,9}$/.test(text) || Number(text) <= 0) throw invalidArgument(`invalid layer limit ${text}`);
  return { layerLimit: Number(text) };
}

function checksum(text: string | undefined): { checksum?: Digest } {
  if (text === undefined) return {};
  try {
    return { checksum: parseDigest(text) };
  } catch (error) {
    throw wrapError(error, `invalid image checksum ${text}`);
  }
}

export function parseResolveMode(text: string): ResolveMode {
  if (text === '') return 'default';
  if (!MODES.includes(text)) throw invalidArgument(`invalid resolvemode: ${text}`);
  return text as ResolveMode;
}

/** The reference in full. Throws InvalidArgument without tag and digest. */
export function normalizeImageRef(text: string): string {
  const ref = parseReference(text);
  if (ref.tag === undefined && ref.digest === undefined) throw invalidArgument('object required');
  return formatReference(ref);
}

/** Throws InvalidArgument. */
export function parseImageRequest({ ref, attrs }: SourceRequest): ImageRequest {
  const recordType = attrs.get('image.recordtype') ?? '';
  if (recordType !== '' && !RECORD_TYPES.includes(recordType))
    throw invalidArgument(`invalid record type ${recordType}`);
  return {
    ref: normalizeImageRef(ref),
    resolveMode: parseResolveMode(attrs.get('image.resolvemode') ?? ''),
    ...(recordType === '' ? {} : { recordType: recordType as RecordType }),
    ...layerLimit(attrs.get('image.layerlimit')),
    ...checksum(attrs.get('image.checksum')),
  };
}

/** Throws InvalidArgument. */
export function parseLayoutRequest({ ref, attrs }: Pick<SourceRequest, 'ref' | 'attrs'>): LayoutRequest {
  const at = ref.lastIndexOf('@');
  if (at <= 0) throw invalidArgument(`oci-layout reference ${ref} must have digest`);
  let digest: Digest;
  try {
    digest = parseDigest(ref.slice(at + 1));
  } catch (error) {
    throw wrapError(error, `invalid oci-layout reference ${ref}`);
  }
  return {
    ref,
    digest,
    sessionId: attrs.get('oci.session') ?? '',
    storeId: attrs.get('oci.store') ?? ref.slice(0, at),
    ...layerLimit(attrs.get('oci.layerlimit')),
  };
}
