/** Values of the OCI image and distribution specifications, and Docker's schema 2 beside them. */
declare const digestBrand: unique symbol;
/** `sha256:<64 hex>`, checked (see parseDigest). */
export type Digest = string & { readonly [digestBrand]: true };

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly osVersion?: string;
  readonly osFeatures?: readonly string[];
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly data?: Uint8Array;
  readonly platform?: Platform;
  readonly artifactType?: string;
}

export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Index {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What a layer's compressed form is. `estargz` is read as gzip. */
export type CompressionType = 'uncompressed' | 'gzip' | 'zstd' | 'estargz';

export interface Compression {
  readonly type: CompressionType;
  /** gzip 0–9, zstd 0–22; undefined is the type's default. */
  readonly level?: number;
  /** Recompress blobs that exist in another form too. */
  readonly force: boolean;
}
