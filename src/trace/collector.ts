/** Where spans of clients and steps arrive: they are passed on, and builds that run keep those of their own trace. */
import { invalidArgument } from '../base/index.ts';
import { ResourceSpans } from '../proto/otlp.pb.ts';
import type { InstrumentationScope, Resource, Span } from '../proto/otlp.pb.ts';
import type { SpanExporter } from './otlp-exporter.ts';

export interface ReceivedSpan {
  readonly span: Span;
  readonly resource: Resource | undefined;
  readonly scope: InstrumentationScope | undefined;
}

/** What arrived of one trace since the recording began. */
export interface Recording {
  readonly spans: readonly ReceivedSpan[];
  stop(): void;
}

const MAX_SPANS = 4096;
const MAX_BYTES = 4 * 2 ** 20;

class TraceRecording implements Recording {
  readonly spans: ReceivedSpan[] = [];
  readonly #onStop: () => void;
  #bytes = 0;

  constructor(onStop: () => void) {
    this.#onStop = onStop;
  }

  /** `bytes` is about what the span takes. */
  add(span: ReceivedSpan, bytes: number): void {
    if (this.spans.length >= MAX_SPANS || this.#bytes + bytes > MAX_BYTES) return;
    this.#bytes += bytes;
    this.spans.push(span);
  }

  stop(): void {
    this.#onStop();
  }
}

export class TraceCollector {
  readonly #exporter: SpanExporter | undefined;
  readonly #recordings = new Map<string, Set<TraceRecording>>();

  constructor(exporter?: SpanExporter) {
    this.#exporter = exporter;
  }

  /** Until `stop`, the spans of that trace (hexadecimal id), within bounds. */
  record(traceId: string): Recording {
    const all = this.#recordings.get(traceId) ?? new Set();
    this.#recordings.set(traceId, all);
    const recording = new TraceRecording(() => {
      all.delete(recording);
      if (all.size === 0 && this.#recordings.get(traceId) === all) this.#recordings.delete(traceId);
    });
    all.add(recording);
    return recording;
  }

  /** Encoded ResourceSpans, from outside. Throws InvalidArgument. */
  receive(batch: readonly Uint8Array[]): void {
    const decoded = batch.map(decode);
    this.#exporter?.export(batch);
    if (this.#recordings.size === 0) return;
    for (const [index, { resource, scopeSpans: scopes }] of decoded.entries()) {
      const count = scopes.reduce((sum, { spans }) => sum + spans.length, 0);
      const bytes = batch[index].length / Math.max(1, count);
      for (const { scope, spans } of scopes) {
        for (const span of spans) {
          const recordings = this.#recordings.get(Buffer.from(span.traceId).toString('hex')) ?? [];
          for (const recording of recordings) recording.add({ span, resource, scope }, bytes);
        }
      }
    }
  }

  /** Spans of this process. */
  send(spans: ResourceSpans): void {
    this.#exporter?.export([ResourceSpans.encode(spans).finish()]);
  }
}

function decode(bytes: Uint8Array): ResourceSpans {
  try {
    return ResourceSpans.decode(bytes);
  } catch (cause) {
    throw invalidArgument('invalid spans', { cause });
  }
}
