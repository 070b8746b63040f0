import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatusResponse } from '../../proto/control.pb.ts';
import { Span } from '../../proto/otlp.pb.ts';
import { parseTraceParent, stepSpanId } from '../../trace/index.ts';
import { BuildTrace, encodeTrace } from './trace.ts';

interface Stub {
  readonly Name: string;
  readonly SpanContext: { readonly TraceID: string; readonly SpanID: string };
  readonly Parent: { readonly TraceID: string; readonly SpanID: string };
  readonly StartTime: string;
  readonly EndTime: string;
  readonly Attributes: readonly { readonly Key: string; readonly Value: { readonly Value: string } }[];
  readonly Status: { readonly Code: number; readonly Description: string };
  readonly ChildSpanCount: number;
}

const at = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });
const vertex = (name: string, started?: number, completed?: number, error = '') => ({
  digest: `sha256:${name}`,
  name,
  error,
  ...(started === undefined ? {} : { started: at(started) }),
  ...(completed === undefined ? {} : { completed: at(completed) }),
});

function spansOf(trace: BuildTrace, error?: string): Stub[] {
  const text = [...encodeTrace([], trace.spans(1_000_000_000n, 9_000_000_000n, error))].join('');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Stub);
}

void test('a span for each run of a step, and one for the build', () => {
  const trace = new BuildTrace(undefined);
  trace.add(StatusResponse.fromPartial({ vertexes: [vertex('b', 4), vertex('a', 2, 3)] }));
  trace.add(
    StatusResponse.fromPartial({ vertexes: [vertex('b', 4, 5, 'broken'), vertex('a', 6, 7), vertex('waits')] }),
  );
  const spans = spansOf(trace, 'failed');
  assert.deepEqual(
    spans.map((s) => [s.Name, s.StartTime, s.EndTime, s.Status.Code, s.Status.Description]),
    [
      ['a', '1970-01-01T00:00:02Z', '1970-01-01T00:00:03Z', 0, ''],
      ['b', '1970-01-01T00:00:04Z', '1970-01-01T00:00:05Z', 1, 'broken'],
      ['a', '1970-01-01T00:00:06Z', '1970-01-01T00:00:07Z', 0, ''],
      ['moby.buildkit.v1.Control/Solve', '1970-01-01T00:00:01Z', '1970-01-01T00:00:09Z', 1, 'failed'],
    ],
  );
  const root = spans[3];
  assert.equal(root.ChildSpanCount, 3);
  assert.equal(root.Parent.SpanID, '0'.repeat(16));
  assert.equal(new Set(spans.map((s) => s.SpanContext.SpanID)).size, 4);
  assert.ok(spans.every((s) => s.SpanContext.TraceID === root.SpanContext.TraceID));
  for (const step of spans.slice(0, 3)) {
    assert.equal(step.Parent.SpanID, root.SpanContext.SpanID);
    assert.deepEqual(step.Attributes[0], { Key: 'vertex', Value: { Type: 'STRING', Value: `sha256:${step.Name}` } });
  }
});

void test('it goes on with the trace of the client', () => {
  const parent = parseTraceParent(`00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`);
  const [root] = spansOf(new BuildTrace(parent));
  assert.deepEqual(root.Parent, {
    TraceID: 'ab'.repeat(16),
    SpanID: 'cd'.repeat(8),
    TraceFlags: '01',
    TraceState: '',
    Remote: false,
  });
  assert.equal(root.SpanContext.TraceID, 'ab'.repeat(16));
});

void test('what runs in a step is below the step, with the types that attributes have in Go', () => {
  const trace = new BuildTrace(undefined);
  trace.add(StatusResponse.fromPartial({ vertexes: [vertex('a', 2, 3)] }));
  const text = (value: string) => ({ value: { $case: 'stringValue', value } as const });
  const span = Span.fromPartial({
    traceId: Buffer.from(trace.traceId, 'hex'),
    spanId: Buffer.from('11'.repeat(8), 'hex'),
    parentSpanId: Buffer.from(stepSpanId(trace.traceId, 'sha256:a'), 'hex'),
    name: 'compile',
    attributes: [
      { key: 'args', value: { value: { $case: 'arrayValue', value: { values: [text('cc'), text('-c')] } } } },
      { key: 'n', value: { value: { $case: 'intValue', value: 3n } } },
      { key: 'map', value: { value: { $case: 'kvlistValue', value: { values: [] } } } },
    ],
    status: { code: 1, message: '' },
  });
  const lines = encodeTrace([{ span, resource: undefined, scope: undefined }], trace.spans(1n, 2n, undefined));
  const [inner, step] = [...lines].map((line) => JSON.parse(line) as Stub);
  assert.equal(step.Name, 'a');
  assert.equal(step.ChildSpanCount, 1);
  assert.equal(inner.Parent.SpanID, step.SpanContext.SpanID);
  assert.equal(inner.Status.Code, 2);
  assert.deepEqual(inner.Attributes, [
    { Key: 'args', Value: { Type: 'STRINGSLICE', Value: ['cc', '-c'] } },
    { Key: 'n', Value: { Type: 'INT64', Value: 3 } },
    { Key: 'map', Value: { Type: 'STRING', Value: 'INVALID' } },
  ]);
});
