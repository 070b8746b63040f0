/** Where results go: one file per kind of output, all behind {@link Exporter}. */
import type { StepProgress } from '../base/index.ts';
import type { BuildResult } from '../llb/index.ts';
import type { Descriptor } from '../oci/types.ts';
import type { ImmutableRef } from '../storage/types.ts';

export interface ExportContext {
  readonly signal: AbortSignal;
  readonly progress: StepProgress;
  /** The session of the client that asked. */
  readonly sessionId: string;
  /** Position among the build's exporters, sent to the client as `buildkit-attachable-exporter-id`. */
  readonly exporterIndex: number;
  /** Inline cache for one platform's image config, base64-decoded JSON bytes, or undefined. */
  readonly inlineCache?: (ref: ImmutableRef, platform: string) => Promise<Uint8Array | undefined>;
}

export interface ExportOutcome {
  /** Goes into SolveResponse.ExporterResponse. */
  readonly response: ReadonlyMap<string, string>;
  /** Network pushes: run after all exports have ended, beside the cache export. */
  readonly finalize?: (context: ExportContext) => Promise<void>;
  /** For the history record. */
  readonly descriptor?: Descriptor;
}

export interface ExporterInstance {
  /** e.g. `exporting to image` */
  readonly name: string;
  readonly type: string;
  readonly attrs: ReadonlyMap<string, string>;
  export(result: BuildResult<ImmutableRef | undefined>, context: ExportContext): Promise<ExportOutcome>;
}

export interface Exporter {
  readonly type: string;
  /** Checks the attributes before the build starts. Throws InvalidArgument. */
  resolve(attrs: ReadonlyMap<string, string>): ExporterInstance;
}
