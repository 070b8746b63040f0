import type { Digest } from '../oci/types.ts';

export interface BlobInfo {
  readonly digest: Digest;
  readonly size: number;
  readonly createdAt: bigint;
  readonly labels: ReadonlyMap<string, string>;
}

/** Bytes of one blob. `stream` yields chunks of up to 1 MiB; leaving the loop early closes it. */
export interface BlobReader {
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  stream(offset?: number): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** A blob being written. It is visible only after commit: temporary name, fsync, rename, then recorded. */
export interface BlobWriter {
  readonly ref: string;
  readonly offset: number;
  write(chunk: Uint8Array): Promise<void>;
  /** Throws FailedPrecondition when size or digest differ from what was written, AlreadyExists never (it is success). */
  commit(expected: { digest?: Digest; size?: number; labels?: ReadonlyMap<string, string> }): Promise<Digest>;
  abort(): Promise<void>;
}

/** Where blobs can be read from: the daemon's store, a registry, a client's session. */
export interface ContentProvider {
  /** Throws NotFound. */
  reader(
    descriptor: { digest: Digest; size: number; mediaType?: string; annotations?: Readonly<Record<string, string>> },
    signal?: AbortSignal,
  ): Promise<BlobReader>;
}

export interface ContentStore extends ContentProvider {
  info(digest: Digest): Promise<BlobInfo | undefined>;
  /** `ref` names the write: two writers of one ref exclude each other (Unavailable "ref … locked"). */
  writer(ref: string): Promise<BlobWriter>;
  /** The blob's file, for worker threads: read-only. Throws NotFound. */
  pathOf(digest: Digest): string;
  /** A name for a file that a worker thread fills; `adopt` makes it a blob (size and digest are the caller's, computed while writing). */
  temporaryPath(): string;
  adopt(path: string, blob: { digest: Digest; size: number; labels?: ReadonlyMap<string, string> }): Promise<void>;
  setLabels(digest: Digest, labels: ReadonlyMap<string, string>): Promise<void>;
  delete(digest: Digest): Promise<void>;
  list(): AsyncIterable<BlobInfo>;
}
