import type { TimeNs } from '../base/index.ts';
import type { AnyValue, Span } from '../proto/otlp.pb.ts';

/** OTLP's SpanKind. */
export const SpanKind = { internal: 1, server: 2 } as const;

const STATUS_ERROR = 2;
const SAMPLED = 1;

export interface SpanFacts {
  readonly name: string;
  /** Ids in hexadecimal; `parent` '' is none. */
  readonly traceId: string;
  readonly id: string;
  readonly parent: string;
  readonly kind: (typeof SpanKind)[keyof typeof SpanKind];
  readonly start: TimeNs;
  readonly end: TimeNs;
  readonly attributes: Readonly<Record<string, string | readonly string[]>>;
  readonly error: string | undefined;
}

const hex = (text: string): Uint8Array => Buffer.from(text, 'hex');
const textValue = (value: string): AnyValue => ({ value: { $case: 'stringValue', value } });
const listValue = (list: readonly string[]): AnyValue => ({
  value: { $case: 'arrayValue', value: { values: list.map(textValue) } },
});

export function makeSpan(facts: SpanFacts): Span {
  return {
    traceId: hex(facts.traceId),
    spanId: hex(facts.id),
    traceState: '',
    parentSpanId: hex(facts.parent),
    name: facts.name,
    kind: facts.kind,
    startTimeUnixNano: facts.start,
    endTimeUnixNano: facts.end,
    attributes: Object.entries(facts.attributes).map(([key, value]) => ({
      key,
      value: typeof value === 'string' ? textValue(value) : listValue(value),
    })),
    droppedAttributesCount: 0,
    events: [],
    droppedEventsCount: 0,
    droppedLinksCount: 0,
    status: facts.error === undefined ? undefined : { code: STATUS_ERROR, message: facts.error },
    flags: SAMPLED,
  };
}
