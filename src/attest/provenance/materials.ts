/** What a build was made from, as far as it came from outside. */
import type { Digest, Platform } from '../../oci/types.ts';

/** An image; `local` when a client's OCI layout had it. */
export interface ImageMaterial {
  readonly kind: 'image';
  /** Complete, with tag or digest. */
  readonly ref: string;
  readonly platform?: Platform;
  readonly digest?: Digest;
  readonly local: boolean;
}

/** One blob of a registry, or of a client's OCI layout. */
export interface BlobMaterial {
  readonly kind: 'image-blob';
  readonly ref: string;
  readonly digest?: Digest;
  readonly local: boolean;
}

export interface GitMaterial {
  readonly kind: 'git';
  /** `remote#ref`, or the remote alone. Credentials in it are masked when it is captured. */
  readonly url: string;
  readonly commit: string;
  /** Where a bundle came from: `docker-image+blob://host/repo@sha256:…`. */
  readonly bundle?: string;
}

export interface HttpMaterial {
  readonly kind: 'http';
  /** Credentials in it are masked when it is captured. */
  readonly url: string;
  readonly digest: Digest;
}

/** A directory of the client: nobody can get it again, so materials with one are not complete. */
export interface LocalMaterial {
  readonly kind: 'local';
  readonly name: string;
}

export type Material = ImageMaterial | BlobMaterial | GitMaterial | HttpMaterial | LocalMaterial;

/** Materials by kind. */
export interface Sources {
  readonly images: readonly ImageMaterial[];
  readonly blobs: readonly BlobMaterial[];
  readonly git: readonly GitMaterial[];
  readonly http: readonly HttpMaterial[];
  readonly local: readonly LocalMaterial[];
}

/** A secret or an agent that a step asks for, by its id. */
export interface Credential {
  readonly id: string;
  readonly optional: boolean;
}

/** A request of a step behind a proxy; nobody can tell what it brought. Texts may be '' where nobody knows them. */
export interface UncapturedRequest {
  /** The step's digest, and what it runs. */
  readonly op: string;
  readonly name: string;
  readonly method: string;
  readonly uri: string;
  readonly reason: string;
}

/** What one step brings into a build. */
export interface StepFacts {
  readonly materials?: readonly Material[];
  readonly secrets?: readonly Credential[];
  readonly ssh?: readonly Credential[];
  readonly network?: boolean;
  /** The step was behind a proxy: what could be told of its requests is in the materials, the rest is here. */
  readonly proxy?: { readonly uncaptured: readonly UncapturedRequest[] };
  /** It used what nobody could name. */
  readonly incomplete?: boolean;
  /** What it used of the machine when it ran, ready as JSON, by the digest of its vertex. */
  readonly usage?: ReadonlyMap<string, unknown>;
}
