/** File trees: walking, matching, copying, and fsutil's transfer of one to another machine. */
import type { Stat } from '../proto/fsutil_stat.pb.ts';
import type { TreeSize } from './small-tree.ts';

/** Go's os.FileMode bits, which the wire carries instead of st_mode. */
export const GoMode = {
  Dir: 0x80000000,
  Symlink: 0x08000000,
  Device: 0x04000000,
  NamedPipe: 0x02000000,
  Socket: 0x01000000,
  Setuid: 0x00800000,
  Setgid: 0x00400000,
  CharDevice: 0x00200000,
  Sticky: 0x00100000,
  Irregular: 0x00080000,
  Type: 0x8f280000,
  Perm: 0o777,
} as const;

/** Encoded fsutil Packets, one Uint8Array each, in both directions. Batches are what has arrived or is ready. */
export interface PacketChannel {
  readBatch(): Promise<Uint8Array[] | undefined>;
  writeBatch(packets: readonly Uint8Array[]): Promise<void>;
}

/** One of several trees that are sent as one: folders of the same path become one, anything else may be in one tree only. */
export interface SentTree {
  readonly root: string;
  /** Overwrites every mtime (source date epoch). */
  readonly mtimeNs?: bigint;
  /** Prepended: the tree appears below this relative path (platform-split exports). */
  readonly prefix?: string;
  /** Another tree whose entries are sent among those of the first, and instead of those of the same path. */
  readonly over?: string;
}

export interface SendOptions {
  readonly includePatterns?: readonly string[];
  readonly excludePatterns?: readonly string[];
  readonly followPaths?: readonly string[];
  /** Zero uid and gid, as clients do for local directories. */
  readonly resetOwner?: boolean;
  /** A single tree up to this size is sent by the calling thread; otherwise only one that is less work than starting another. */
  readonly here?: TreeSize;
  readonly onProgress?: (bytes: number, done: boolean) => void;
  readonly signal?: AbortSignal;
}

export interface ReceiveOptions {
  /** Keep what the sender does not have. */
  readonly merge?: boolean;
  /** `none`: transfer everything; `metadata`: what differs by metadata (default). */
  readonly differ?: 'none' | 'metadata';
  /** Written owner of everything: undefined keeps the sender's. */
  readonly owner?: { uid: number; gid: number };
  /** Called with every change in batches, in order of receipt: what the content hash and the caller's records follow. */
  readonly onChanges?: (changes: readonly TreeChange[]) => void;
  /** A file that is made, and is on the disk, before anything of the tree is changed; not made when nothing has to be. */
  readonly marker?: string;
  readonly onProgress?: (bytes: number, done: boolean) => void;
  readonly metadataOnly?: { exceptions: readonly string[] };
  readonly signal?: AbortSignal;
}

/** `digest` is the content-hash entry digest (tar-sum header and data), present for add and modify. */
export interface TreeChange {
  readonly kind: 'add' | 'modify' | 'delete';
  /** Relative, without leading slash. */
  readonly path: string;
  readonly stat?: Stat;
  readonly digest?: string;
}

export interface ReceiveResult {
  /** Files whose data was transferred. */
  readonly files: number;
  /** Bytes of their data. */
  readonly bytes: number;
  /** Entries added, modified or deleted. */
  readonly changes: number;
}
