import type { Descriptor, Digest } from '../oci/types.ts';

/** Manifests that belong together, and the blobs that are worth a look: what is attested of an image, and who signed that. */
export interface AttestationChain {
  readonly root: Digest;
  readonly imageManifest?: Digest;
  readonly attestationManifest?: Digest;
  readonly signatureManifests: readonly Digest[];
  /** The root, the manifests of attestations and signatures, signatures, and the statements that were asked for. */
  readonly blobs: ReadonlyMap<Digest, { readonly descriptor: Descriptor; readonly bytes: Uint8Array }>;
}

/** What a source is now. */
export interface SourceDescription {
  readonly image?: {
    readonly digest: Digest;
    readonly config?: Uint8Array;
    readonly attestations?: AttestationChain;
  };
  readonly git?: {
    /** What the ref names: a commit, or an annotated tag. */
    readonly checksum: string;
    readonly ref: string;
    /** The commit of an annotated tag; else ''. */
    readonly commitChecksum: string;
    readonly commitObject?: Uint8Array;
    readonly tagObject?: Uint8Array;
  };
  readonly http?: {
    /** `<algorithm>:<hex>`: sha256, or what was asked for. */
    readonly checksum: string;
    readonly filename: string;
    /** Nanoseconds since 1970. */
    readonly lastModified?: bigint;
    readonly checksumResponse?: { readonly digest: string; readonly suffix: Uint8Array };
  };
}

/** The same with the source that it is of, as policies may have changed it. */
export interface SourceMeta extends SourceDescription {
  readonly identifier: string;
  readonly attrs: ReadonlyMap<string, string>;
}
