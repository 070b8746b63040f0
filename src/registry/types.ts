/** Docker Registry HTTP API V2 / OCI distribution: resolve, pull, push, with whatever credentials the caller has. */
import type { Descriptor, Digest } from '../oci/types.ts';

export interface RegistryHostConfig {
  readonly mirrors?: readonly string[];
  readonly http?: boolean;
  readonly insecure?: boolean;
  readonly ca?: readonly string[];
  readonly keypairs?: readonly { key: string; cert: string }[];
  readonly tlsConfigDirs?: readonly string[];
}

/** Where credentials come from. Both may be absent: then access is anonymous. */
export interface RegistryAuth {
  /** Names who asks: tokens are shared only within one scope of trust. */
  readonly id: string;
  /** undefined: this caller has no token service, use `credentials`. */
  fetchToken?(request: {
    clientId: string;
    host: string;
    realm: string;
    service: string;
    scopes: readonly string[];
  }): Promise<{ token: string; expiresInMs: number; issuedAtMs: number } | undefined>;
  credentials?(host: string): Promise<{ username: string; secret: string } | undefined>;
}

export interface RegistryContext {
  readonly auth?: RegistryAuth;
  readonly signal?: AbortSignal;
  /** Retries and waits, as a line of the step's log. */
  readonly onLog?: (line: string) => void;
  /** Any certificate and plain HTTP will do for the registry itself; its mirrors are left out. */
  readonly insecure?: boolean;
}

export interface ResolvedImage {
  /** Full reference with the digest. */
  readonly ref: string;
  readonly descriptor: Descriptor;
}

export interface Registry {
  /** Tag or digest → descriptor of the manifest or index (HEAD, else GET). NotFound: `<ref>: not found`. */
  resolve(ref: string, context: RegistryContext): Promise<ResolvedImage>;
  /** Manifest bytes or blob stream, verified by the caller's reader for size and digest. Chunks up to 1 MiB; resumes with Range. */
  fetch(ref: string, descriptor: Descriptor, context: RegistryContext): AsyncIterable<Uint8Array>;
  /** In bytes; undefined: there is no such blob. */
  blobSize(ref: string, digest: Digest, context: RegistryContext): Promise<number | undefined>;
  /** Manifests that have this one as their subject. */
  referrers(ref: string, digest: Digest, context: RegistryContext): Promise<readonly Descriptor[]>;
  /** Skips what is there; tries a cross-repository mount from `mountFrom` first. */
  pushBlob(
    ref: string,
    descriptor: Descriptor,
    content: () => Promise<AsyncIterable<Uint8Array>>,
    options: RegistryContext & { mountFrom?: string; onProgress?: (sent: number) => void },
  ): Promise<void>;
  pushManifest(ref: string, descriptor: Descriptor, bytes: Uint8Array, options: RegistryContext): Promise<void>;
}
