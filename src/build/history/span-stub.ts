/** A span as Go's SDK writes its SpanStub in JSON (go.opentelemetry.io/otel/sdk/trace/tracetest). */
import { formatTime } from '../../base/index.ts';
import type { AnyValue, KeyValue } from '../../proto/otlp.pb.ts';
import type { ReceivedSpan } from '../../trace/index.ts';

/** OTLP's StatusCode to Go's codes.Code. */
const CODES: Readonly<Record<number, number>> = { 0: 0, 1: 2, 2: 1 };

/** `children`: how many spans have it as parent. */
export function spanStub({ span, resource, scope }: ReceivedSpan, children: number): object {
  const named = { Name: scope?.name ?? '', Version: scope?.version ?? '', SchemaURL: '', Attributes: {} };
  return {
    Name: span.name,
    SpanContext: context(span.traceId, span.spanId, span.traceState),
    Parent:
      span.parentSpanId.length === 0
        ? context(ZERO_TRACE, ZERO_SPAN, '')
        : context(span.traceId, span.parentSpanId, ''),
    SpanKind: span.kind,
    StartTime: formatTime(span.startTimeUnixNano),
    EndTime: formatTime(span.endTimeUnixNano),
    Attributes: attributes(span.attributes),
    Events:
      span.events.length === 0
        ? null
        : span.events.map((event) => ({
            Name: event.name,
            Attributes: attributes(event.attributes),
            DroppedAttributeCount: event.droppedAttributesCount,
            Time: formatTime(event.timeUnixNano),
          })),
    Links: null,
    Status: { Code: CODES[span.status?.code ?? 0] ?? 0, Description: span.status?.message ?? '' },
    DroppedAttributes: span.droppedAttributesCount,
    DroppedEvents: span.droppedEventsCount,
    DroppedLinks: span.droppedLinksCount,
    ChildSpanCount: children,
    Resource: attributes(resource?.attributes ?? []),
    InstrumentationScope: named,
    InstrumentationLibrary: named,
  };
}

const ZERO_TRACE = new Uint8Array(16);
const ZERO_SPAN = new Uint8Array(8);

function context(traceId: Uint8Array, spanId: Uint8Array, state: string): object {
  return {
    TraceID: Buffer.from(traceId).toString('hex'),
    SpanID: Buffer.from(spanId).toString('hex'),
    TraceFlags: spanId === ZERO_SPAN ? '00' : '01',
    TraceState: state,
    Remote: false,
  };
}

function attributes(pairs: readonly KeyValue[]): object[] {
  return pairs.map(({ key, value }) => ({ Key: key, Value: typed(value) }));
}

/** attribute.Value's types; what Go's SDK has no type for is the text INVALID, as upstream has it. */
function typed(value: AnyValue | undefined): { readonly Type: string; readonly Value: unknown } {
  const one = value?.value;
  switch (one?.$case) {
    case 'stringValue':
      return { Type: 'STRING', Value: one.value };
    case 'boolValue':
      return { Type: 'BOOL', Value: one.value };
    case 'intValue':
      return { Type: 'INT64', Value: Number(one.value) };
    case 'doubleValue':
      return { Type: 'FLOAT64', Value: one.value };
    case 'arrayValue': {
      const list = one.value.values.map(typed);
      const type = list[0]?.Type ?? 'STRING';
      return { Type: `${type}SLICE`, Value: list.filter((v) => v.Type === type).map((v) => v.Value) };
    }
    default:
      return { Type: 'STRING', Value: 'INVALID' };
  }
}
