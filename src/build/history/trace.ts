/**
 * A build's trace: its steps as OpenTelemetry spans and what clients and steps sent of the same trace. The history keeps it in
 * the JSON that upstream's daemon writes (SpanStub of Go's SDK), which is what `buildctl debug logs --trace` and buildx read.
 */
import { randomBytes } from 'node:crypto';
import { VERSION } from '../../base/index.ts';
import type { TimeNs } from '../../base/index.ts';
import type { StatusResponse, Vertex } from '../../proto/control.pb.ts';
import type { ResourceSpans } from '../../proto/otlp.pb.ts';
import { makeSpan, resourceOf, SpanKind, stepSpanId } from '../../trace/index.ts';
import type { ReceivedSpan, TraceContext } from '../../trace/index.ts';
import { spanStub } from './span-stub.ts';
import { fromTimestamp } from './wire-time.ts';

export const TRACE_MEDIA_TYPE = 'application/vnd.buildkit.otlp.json.v0';

interface Step {
  readonly vertex: Vertex;
  readonly started: TimeNs;
  readonly completed: TimeNs;
}

const SCOPE = { name: VERSION.package, version: VERSION.version };

export class BuildTrace {
  readonly traceId: string;
  readonly #parent: TraceContext | undefined;
  /** A step may run several times: by digest and start. */
  readonly #steps = new Map<string, Step>();

  constructor(parent: TraceContext | undefined) {
    this.#parent = parent;
    this.traceId = parent?.traceId ?? randomBytes(16).toString('hex');
  }

  add({ vertexes }: StatusResponse): void {
    for (const vertex of vertexes) {
      if (vertex.started === undefined || vertex.completed === undefined) continue;
      const started = fromTimestamp(vertex.started);
      const completed = fromTimestamp(vertex.completed);
      this.#steps.set(`${vertex.digest}@${started}`, { vertex, started, completed });
    }
  }

  /** Steps as they began, the build itself last. */
  spans(start: TimeNs, end: TimeNs, error: string | undefined): ResourceSpans {
    const root = randomBytes(8).toString('hex');
    const steps = [...this.#steps.values()].toSorted((a, b) => (a.started < b.started ? -1 : 1));
    const runs = new Map<string, number>();
    const spans = steps.map(({ vertex, started, completed }) => {
      const run = runs.get(vertex.digest) ?? 0;
      runs.set(vertex.digest, run + 1);
      return makeSpan({
        traceId: this.traceId,
        name: vertex.name,
        id: stepSpanId(this.traceId, vertex.digest, run),
        parent: root,
        kind: SpanKind.internal,
        start: started,
        end: completed,
        attributes: { vertex: vertex.digest },
        error: vertex.error === '' ? undefined : vertex.error,
      });
    });
    const method = 'moby.buildkit.v1.Control/Solve';
    spans.push(
      makeSpan({
        traceId: this.traceId,
        name: method,
        id: root,
        parent: this.#parent?.spanId ?? '',
        kind: SpanKind.server,
        start,
        end,
        attributes: { 'rpc.method': method, 'rpc.system.name': 'grpc' },
        error,
      }),
    );
    const resource = resourceOf('buildkitd', process.env);
    return { resource, scopeSpans: [{ scope: SCOPE, spans, schemaUrl: '' }], schemaUrl: '' };
  }
}

/** The blob's text, a span at a time: what was received, then the build's own. */
export function* encodeTrace(received: readonly ReceivedSpan[], own: ResourceSpans): Generator<string> {
  const all = [
    ...received,
    ...own.scopeSpans.flatMap(({ scope, spans }) => spans.map((span) => ({ span, scope, resource: own.resource }))),
  ];
  const children = new Map<string, number>();
  for (const { span } of all) {
    const parent = Buffer.from(span.parentSpanId).toString('hex');
    children.set(parent, (children.get(parent) ?? 0) + 1);
  }
  for (const one of all) {
    const count = children.get(Buffer.from(one.span.spanId).toString('hex')) ?? 0;
    yield `${JSON.stringify(spanStub(one, count))}\n`;
  }
}
