import type { ArchiveLimits } from '../../archive/index.ts';
import type { Digest } from '../../oci/types.ts';
import type { LayerDirs } from '../tree/layers.ts';
import type { ImageSystem } from '../types.ts';

export interface ApplyRequest {
  /** InvalidArgument for a layer of the other one; undefined: the layer's first entry tells. */
  readonly system?: ImageSystem | undefined;
  /** The blob's file; its compression is found by its first bytes (gzip, zstd, bzip2 or none). */
  readonly source: string;
  /** The directory that takes the layer: an overlay's upperdir, or a plain directory with everything below it. */
  readonly target: string;
  /** `overlay`: whiteouts become character devices 0/0 and opaque xattrs. `plain`: they delete. */
  readonly style: 'overlay' | 'plain';
  /** With `overlay`: the layers below, for the attributes of parent folders that the layer does not list. */
  readonly parents?: LayerDirs;
  /** There is no layer below. */
  readonly isBase?: boolean;
  /** Overlay xattrs are `user.overlay.*` (rootless). */
  readonly userxattr?: boolean;
  /** The tar's expected digest: FailedPrecondition when it is another. */
  readonly diffId?: Digest;
  readonly limits?: Partial<ArchiveLimits>;
  /** Take the caller's own uid and gid (not root). */
  readonly noSameOwner?: boolean;
}

export interface AppliedLayer {
  readonly system: ImageSystem;
  /** Sum of the entries' sizes, as containerd reports it. */
  readonly size: number;
  readonly diffId: Digest;
  readonly entries: number;
}

export interface UnpackRequest {
  /** Resolved below `sourceRoot`, symlinks included. */
  readonly sourceRoot: string;
  readonly source: string;
  /** Resolved below `targetRoot`; the folder exists. */
  readonly targetRoot: string;
  readonly target: string;
  /** The trees are of Windows: names that differ by case alone are one. */
  readonly foldsSource?: boolean;
  readonly foldsTarget?: boolean;
  /** Owner of everything written; undefined keeps the archive's. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly limits?: Partial<ArchiveLimits>;
}

export interface PackEntry {
  readonly dir: string;
  /** Relative path in the archive that `dir`'s content appears below; '' for the top. */
  readonly prefix: string;
  /** Another directory whose entries come among those of the first, and instead of those of the same path. */
  readonly over?: string;
  /** Whose files they are. What accounts of Windows own is root's in the archive: their ids mean something in here only. */
  readonly system?: ImageSystem;
}

export interface PackOptions {
  readonly signal?: AbortSignal;
  /** Every mtime becomes this one. */
  readonly mtimeNs?: bigint;
  /** Owner of every entry; undefined keeps the files'. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}
