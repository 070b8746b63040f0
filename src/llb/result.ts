/** What a frontend returns: one ref, or one per platform, with metadata. T is a ref at whatever stage of its life. */
export interface BuildResult<T> {
  readonly ref?: T;
  /** By platform id as in `refs.platforms`. */
  readonly refs?: ReadonlyMap<string, T>;
  /** e.g. `containerimage.config`, `containerimage.config/linux/amd64`, `refs.platforms`, `image.name`. */
  readonly metadata: ReadonlyMap<string, Uint8Array>;
  readonly attestations?: ReadonlyMap<string, readonly ResultAttestation<T>[]>;
}

export interface ResultAttestation<T> {
  readonly kind: 'in-toto' | 'bundle';
  readonly metadata: ReadonlyMap<string, Uint8Array>;
  readonly ref?: T;
  readonly path: string;
  readonly predicateType?: string;
  readonly subjects?: readonly { kind: 'self' | 'raw'; name: string; digest: readonly string[] }[];
  /** Made in the daemon: the content itself. */
  readonly content?: () => Promise<Uint8Array>;
}
