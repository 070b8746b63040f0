/** Clients send their spans when their build has ended: for a while these still become part of its trace. */
import { logger } from '../../base/index.ts';
import type { ResourceSpans } from '../../proto/otlp.pb.ts';
import type { ReceivedSpan, Recording } from '../../trace/index.ts';

/** The build's own spans, and the recording of the others, which goes on. */
export interface OpenTrace {
  readonly own: ResourceSpans;
  readonly recording: Recording;
  /** How many of the recording are written already. */
  readonly written: number;
}

/** How long upstream waits, too. */
const WAIT_MS = 3000;

/** Writes the trace of a build again. */
export type RewriteTrace = (ref: string, received: readonly ReceivedSpan[], own: ResourceSpans) => Promise<void>;

export class LateSpans {
  readonly #rewrite: RewriteTrace;
  readonly #open = new Map<string, { readonly trace: OpenTrace; readonly timer: NodeJS.Timeout }>();

  constructor(rewrite: RewriteTrace) {
    this.#rewrite = rewrite;
  }

  await(ref: string, trace: OpenTrace): void {
    // A build of the same ref may have ended just now.
    this.#forget(ref);
    const end = (): void => {
      this.end(ref).catch((error: unknown) => logger.error('failed to save late spans of a build', { ref, error }));
    };
    this.#open.set(ref, { trace, timer: setTimeout(end, WAIT_MS).unref() });
  }

  /** Nobody waits for more. Resolves when those that came are written. */
  async end(ref: string): Promise<void> {
    const trace = this.#forget(ref);
    if (trace === undefined || trace.recording.spans.length === trace.written) return;
    await this.#rewrite(ref, trace.recording.spans, trace.own);
  }

  #forget(ref: string): OpenTrace | undefined {
    const open = this.#open.get(ref);
    if (open === undefined) return undefined;
    this.#open.delete(ref);
    clearTimeout(open.timer);
    open.trace.recording.stop();
    return open.trace;
  }

  /** Without those that came. */
  close(): void {
    for (const ref of this.#open.keys()) this.#forget(ref);
  }
}
