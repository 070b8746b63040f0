/**
 * A build's steps as OpenTelemetry spans, in the JSON that upstream's daemon keeps (SpanStub of Go's SDK), which is what
 * `buildctl debug logs --trace` and buildx read. Only what this daemon saw: spans of clients are not received.
 */
import { createHash, randomBytes } from 'node:crypto';
import { formatTime, VERSION } from '../../base/index.ts';
import type { TimeNs } from '../../base/index.ts';
import type { StatusResponse, Vertex } from '../../proto/control.pb.ts';
import { fromTimestamp } from './wire-time.ts';

export const TRACE_MEDIA_TYPE = 'application/vnd.buildkit.otlp.json.v0';

/** Ids of W3C's trace context, in hexadecimal. */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
}

/** The value of the header `traceparent`; undefined when it is none. */
export function parseTraceParent(text: string | undefined): TraceParent | undefined {
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/.exec(text ?? '');
  if (match === null || /^0+$/.test(match[1]) || /^0+$/.test(match[2])) return undefined;
  return { traceId: match[1], spanId: match[2] };
}

interface Step {
  readonly vertex: Vertex;
  readonly started: TimeNs;
  readonly completed: TimeNs;
}

interface Span {
  readonly name: string;
  readonly id: string;
  readonly parent: string;
  readonly kind: number;
  readonly start: TimeNs;
  readonly end: TimeNs;
  readonly attributes: readonly (readonly [key: string, value: string])[];
  readonly error?: string;
}

/** Go's trace.SpanKind and codes.Code. */
const KIND_INTERNAL = 1;
const KIND_SERVER = 2;
const STATUS_ERROR = 1;
const NO_SPAN = '0'.repeat(16);

export class BuildTrace {
  readonly #parent: TraceParent | undefined;
  readonly #traceId: string;
  /** A step may run several times: by digest and start. */
  readonly #steps = new Map<string, Step>();

  constructor(parent: TraceParent | undefined) {
    this.#parent = parent;
    this.#traceId = parent?.traceId ?? randomBytes(16).toString('hex');
  }

  add({ vertexes }: StatusResponse): void {
    for (const vertex of vertexes) {
      if (vertex.started === undefined || vertex.completed === undefined) continue;
      const started = fromTimestamp(vertex.started);
      const completed = fromTimestamp(vertex.completed);
      this.#steps.set(`${vertex.digest}@${started}`, { vertex, started, completed });
    }
  }

  /** The blob's text, a span at a time: steps as they began, the build itself last. */
  *encode(start: TimeNs, end: TimeNs, error: string | undefined): Generator<string> {
    const root = randomBytes(8).toString('hex');
    const steps = [...this.#steps].toSorted(([, a], [, b]) => (a.started < b.started ? -1 : 1));
    for (const [key, { vertex, started, completed }] of steps) {
      const span: Span = {
        name: vertex.name,
        // Spans of one step differ from those of another build's.
        id: createHash('sha256').update(`${root}${key}`).digest('hex').slice(0, 16),
        parent: root,
        kind: KIND_INTERNAL,
        start: started,
        end: completed,
        attributes: [['vertex', vertex.digest]],
        ...(vertex.error === '' ? {} : { error: vertex.error }),
      };
      yield this.#encode(span);
    }
    const method = 'moby.buildkit.v1.Control/Solve';
    yield this.#encode({
      name: method,
      id: root,
      parent: this.#parent?.spanId ?? NO_SPAN,
      kind: KIND_SERVER,
      start,
      end,
      attributes: [
        ['rpc.method', method],
        ['rpc.system.name', 'grpc'],
      ],
      ...(error === undefined ? {} : { error }),
    });
  }

  #encode({ name, id, parent, kind, start, end, attributes, error }: Span): string {
    const context = (spanId: string): object => ({
      TraceID: spanId === NO_SPAN ? '0'.repeat(32) : this.#traceId,
      SpanID: spanId,
      TraceFlags: spanId === NO_SPAN ? '00' : '01',
      TraceState: '',
      Remote: false,
    });
    const values = (pairs: readonly (readonly [string, string])[]): object[] =>
      pairs.map(([Key, Value]) => ({ Key, Value: { Type: 'STRING', Value } }));
    const scope = { Name: VERSION.package, Version: VERSION.version, SchemaURL: '', Attributes: {} };
    const stub = {
      Name: name,
      SpanContext: context(id),
      Parent: context(parent),
      SpanKind: kind,
      StartTime: formatTime(start),
      EndTime: formatTime(end),
      Attributes: values(attributes),
      Events: null,
      Links: null,
      Status: { Code: error === undefined ? 0 : STATUS_ERROR, Description: error ?? '' },
      DroppedAttributes: 0,
      DroppedEvents: 0,
      DroppedLinks: 0,
      ChildSpanCount: kind === KIND_SERVER ? this.#steps.size : 0,
      Resource: values([['service.name', 'buildkitd']]),
      InstrumentationScope: scope,
      InstrumentationLibrary: scope,
    };
    return `${JSON.stringify(stub)}\n`;
  }
}
