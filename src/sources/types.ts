/** Where source ops get their content from: one file per kind of source, all behind {@link Source}. */
import type { StepFacts } from '../attest/index.ts';
import type { SourceDescription } from '../llb/index.ts';
import type { Platform } from '../oci/types.ts';
import type { JobContext } from '../solver/types.ts';
import type { ImmutableRef } from '../storage/types.ts';

export interface SourceRequest {
  /** `docker-image`, `local`, … */
  readonly scheme: string;
  /** What follows `scheme://`. */
  readonly ref: string;
  readonly attrs: ReadonlyMap<string, string>;
  readonly platform: Platform;
}

export interface SourceKey {
  /** Becomes sha256("buildkit.source.v0:"+key), or `random:…` when it begins with `session:`. */
  readonly key: string;
  /** What was resolved, e.g. an image digest: goes into provenance. */
  readonly pin?: string;
  readonly done: boolean;
}

export interface SourceInstance {
  cacheKey(context: JobContext, index: number): Promise<SourceKey>;
  /** For provenance; `pin` is that of the last key. */
  facts(pin: string): StepFacts;
  /** undefined: empty content (an image without layers). The ref is the caller's. */
  snapshot(context: JobContext): Promise<ImmutableRef | undefined>;
}

/** What is wanted of a description beside the ordinary. */
export interface DescribeOptions {
  /** The raw commit and tag objects, too. */
  readonly gitObjects?: boolean;
  /** What is attested of an image, with the statements of these types. */
  readonly attestations?: { readonly predicateTypes: readonly string[] };
  /** A digest of the file with bytes after it. */
  readonly httpChecksum?: { readonly algorithm: 'sha256' | 'sha384' | 'sha512'; readonly suffix: Uint8Array };
}

export interface Source {
  readonly schemes: readonly string[];
  /** The identifier in its canonical form, as it goes into the op's digest. Throws InvalidArgument. */
  normalize(request: SourceRequest): string;
  /** Throws InvalidArgument for attributes that make no sense. */
  resolve(request: SourceRequest): SourceInstance;
  /** Without a snapshot. A source that has no such answer leaves it out. */
  describe?(request: SourceRequest, options: DescribeOptions, context: JobContext): Promise<SourceDescription>;
}
