import type { Descriptor, Digest } from '../../oci/types.ts';
import type { SnapshotId } from '../snapshots/index.ts';
import type { ImageSystem, LazyBlobProvider, RecordType } from '../types.ts';

/** What a record's content is made of. Parents are record ids; a record holds its parents. */
export type Shape =
  | { readonly kind: 'base' }
  | { readonly kind: 'layer'; readonly parent: string }
  | { readonly kind: 'merge'; readonly parents: readonly string[] }
  | { readonly kind: 'diff'; readonly lower?: string; readonly upper?: string };

export interface Note {
  readonly value: string;
  readonly index?: string;
}

/** What is kept of a record over restarts: an immutable value, replaced when something changes. */
export interface RecordData {
  readonly id: string;
  readonly createdAt: bigint;
  readonly description: string;
  readonly recordType: RecordType;
  readonly retain: boolean;
  readonly lastUsedAt?: bigint;
  readonly usageCount: number;
  readonly shape: Shape;
  /** Whose layer it is; undefined: as what it is made of, or not known before it is unpacked. */
  readonly system?: ImageSystem;
  readonly mutable: boolean;
  /** Of an immutable record that was committed but not finalised: the mutable one with the same snapshot. */
  readonly twin?: string;
  /** Content digests are kept under this id: it survives commit and finalise. */
  readonly treeKey: string;
  /** undefined: not made yet (a blob that was never unpacked, a merge that nobody looked at). */
  readonly snapshot?: SnapshotId;
  /** Bytes on disk; undefined: not counted yet. */
  readonly size?: number;
  readonly imageRefs: readonly string[];
  /** The layer as a blob, in the form that it came or was first made in. */
  readonly blob?: Descriptor;
  readonly diffId?: Digest;
  /** image-spec ChainID of the diff ids, and the same sum over the blobs' digests. */
  readonly chainId?: Digest;
  readonly blobChainId?: Digest;
  /** The same layer in other compressions. */
  readonly variants: readonly Descriptor[];
  /** Where `blob` can be had when the content store has not got it: LazyBlobProvider.origin. */
  readonly origin?: string;
  /** Layers in its chain: what graphs of merges make of it is limited. */
  readonly layerCount: number;
  readonly notes: Readonly<Record<string, Note>>;
}

/** A record in memory. `users` are refs that somebody holds, `children` records that have it as a parent. */
export class CacheRecord {
  data: RecordData;
  users = 0;
  children = 0;
  /** The immutable record whose twin this is, or the other way round. */
  twin: CacheRecord | undefined;
  provider: LazyBlobProvider | undefined;

  constructor(data: RecordData) {
    this.data = data;
  }

  get id(): string {
    return this.data.id;
  }

  get refs(): number {
    return this.users + this.children;
  }
}

export function parentIds(shape: Shape): readonly string[] {
  switch (shape.kind) {
    case 'base':
      return [];
    case 'layer':
      return [shape.parent];
    case 'merge':
      return shape.parents;
    case 'diff':
      return [shape.lower, shape.upper].filter((id) => id !== undefined);
  }
}

/** Names that {@link RecordStore.search} finds a record by. */
export function indexesOf(data: RecordData): string[] {
  const found: string[] = [];
  for (const note of Object.values(data.notes)) if (note.index !== undefined) found.push(note.index);
  if (data.chainId !== undefined) found.push(`chainid:${data.chainId}`);
  if (data.blobChainId !== undefined) found.push(`blobchainid:${data.blobChainId}`);
  return found;
}

const BIGINTS = new Set(['createdAt', 'lastUsedAt']);

export function encodeRecord(data: RecordData): string {
  return JSON.stringify(data, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
}

/** Throws when it is no record. */
export function decodeRecord(text: string): RecordData {
  const value = JSON.parse(text) as Record<string, unknown>;
  for (const key of BIGINTS) if (typeof value[key] === 'string') value[key] = BigInt(value[key]);
  const data = value as unknown as RecordData;
  if (typeof data.id !== 'string' || typeof data.shape?.kind !== 'string' || typeof data.createdAt !== 'bigint') {
    throw new Error('not a cache record');
  }
  return data;
}
