import type { Compression, Digest } from '../../oci/types.ts';
import type { LayerDirs } from '../tree/layers.ts';
import type { ImageSystem } from '../types.ts';

/** A layer's file as it was written: its name is the caller's (ContentStore.temporaryPath), ready for ContentStore.adopt. It is fsynced. */
export interface WrittenLayer {
  /** Digest and bytes of the file. */
  readonly digest: Digest;
  readonly size: number;
  /** Digest of the tar in it. */
  readonly diffId: Digest;
  readonly uncompressedSize: number;
}

export interface WorkOptions {
  readonly signal?: AbortSignal;
  /** Bytes read or written so far, a few times a second. */
  readonly onProgress?: (bytes: number) => void;
}

export interface LayerRequest {
  /** What is below; [] is scratch. */
  readonly lower: LayerDirs;
  /** The whole tree with the change. When it is `lower` with one directory more, only that directory is read. */
  readonly upper: LayerDirs;
  readonly compression: Pick<Compression, 'type' | 'level'>;
  /** Written anew; its folder exists. Removed again when the work fails. */
  readonly path: string;
  /** Later mtimes become this one (source date epoch). */
  readonly clampMtimeNs?: bigint;
  /** `windows`: a layer as Windows takes it. InvalidArgument for names that it cannot have. */
  readonly system?: ImageSystem;
}

export interface ConvertRequest {
  /** The blob's file: its compression is found by its first bytes. */
  readonly source: string;
  readonly path: string;
  readonly compression: Pick<Compression, 'type' | 'level'>;
  /** Rewrites the tar: entries newer than this get this time; what else is in a header stays. */
  readonly clampMtimeNs?: bigint;
}
