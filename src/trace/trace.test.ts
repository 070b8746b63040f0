import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createNetServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { BuildError, Code, configureLog } from '../base/index.ts';
import { ResourceSpans } from '../proto/otlp.pb.ts';
import { ExportTraceServiceRequest, TraceServiceDefinition } from '../proto/trace.pb.ts';
import { createServer } from '../rpc/index.ts';
import {
  createOtlpExporter,
  formatTraceParent,
  otlpSettings,
  parseTraceParent,
  resourceOf,
  stepSpanId,
  TraceCollector,
} from './index.ts';

configureLog({ write: () => {} });

const TRACE = 'ab'.repeat(16);

function spans(traceId: string, ...names: string[]): Uint8Array {
  return ResourceSpans.encode(
    ResourceSpans.fromPartial({
      scopeSpans: [{ spans: names.map((name) => ({ traceId: Buffer.from(traceId, 'hex'), name })) }],
    }),
  ).finish();
}

const namesOf = (batch: Uint8Array): string[] =>
  ResourceSpans.decode(batch).scopeSpans.flatMap((scope) => scope.spans.map((span) => span.name));

void test('trace parents', () => {
  const context = { traceId: TRACE, spanId: 'cd'.repeat(8) };
  assert.deepEqual(parseTraceParent(formatTraceParent(context)), context);
  for (const bad of [undefined, '', 'x', `00-${'0'.repeat(32)}-${'c'.repeat(16)}-01`, `00-${'a'.repeat(32)}-01`]) {
    assert.equal(parseTraceParent(bad), undefined);
  }
  const ids = [stepSpanId(TRACE, 'a'), stepSpanId(TRACE, 'b'), stepSpanId(TRACE, 'a', 1), stepSpanId('0', 'a')];
  assert.equal(new Set(ids).size, 4);
  assert.match(ids[0], /^[0-9a-f]{16}$/);
  assert.equal(ids[0], stepSpanId(TRACE, 'a'));
});

void test('where spans go is what the environment says', () => {
  assert.equal(otlpSettings({}), undefined);
  assert.equal(otlpSettings({ OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:1' }), undefined);
  const grpc = otlpSettings({
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:1/ignored',
    OTEL_EXPORTER_OTLP_HEADERS: 'x=1%202,bad, y = z',
    OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '250',
  });
  assert.deepEqual(grpc, {
    protocol: 'grpc',
    endpoint: 'tcp://a:1',
    ca: undefined,
    headers: [
      ['x', '1 2'],
      ['y', 'z'],
    ],
    timeoutMs: 250,
  });
  const places: readonly (readonly [Record<string, string>, string, boolean])[] = [
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, 'tcp://localhost:4317', false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'host' }, 'tcp://host:4317', true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'host:9', OTEL_EXPORTER_OTLP_INSECURE: 'true' }, 'tcp://host:9', false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://[::1]:9' }, 'tcp://[::1]:9', true],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'unix:/a/b' }, 'unix:///a/b', false],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://h:1/base/', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' },
      'http://h:1/base/v1/traces',
      false,
    ],
    [
      { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://h/x', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf' },
      'https://h/x',
      true,
    ],
  ];
  for (const [env, endpoint, secure] of places) {
    const settings = otlpSettings(env);
    assert.deepEqual([settings?.endpoint, settings?.ca !== undefined], [endpoint, secure]);
  }
  const wrong: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ OTEL_TRACES_EXPORTER: 'jaeger' }, /^unsupported opentelemetry exporter jaeger$/],
    [
      { OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' },
      /^unsupported otlp protocol http\/json$/,
    ],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://' }, /^invalid otlp endpoint http:\/\/$/],
  ];
  for (const [env, message] of wrong) {
    assert.throws(() => otlpSettings(env), { message });
    assert.equal(otlpSettings({ ...env, OTEL_IGNORE_ERROR: '1' }), undefined);
  }
});

void test('a resource says who made the spans', () => {
  const env = { OTEL_SERVICE_NAME: 'mine', OTEL_RESOURCE_ATTRIBUTES: 'region=eu,service.name=other' };
  const values = new Map(resourceOf('buildkitd', env).attributes.map(({ key, value }) => [key, value?.value?.value]));
  assert.equal(values.get('service.name'), 'mine');
  assert.equal(values.get('region'), 'eu');
  assert.equal(values.get('telemetry.sdk.language'), 'nodejs');
});

void test('a recording has the spans of its trace, and everything is passed on', () => {
  const passed: string[] = [];
  const exporter = {
    export: (batch: readonly Uint8Array[]) => void passed.push(...batch.flatMap(namesOf)),
    close: () => Promise.resolve(),
  };
  const collector = new TraceCollector(exporter);
  const recording = collector.record(TRACE);
  collector.receive([spans(TRACE, 'one'), spans('ff'.repeat(16), 'other')]);
  assert.throws(
    () => collector.receive([Uint8Array.of(0xff)]),
    (error) => error instanceof BuildError && error.code === Code.InvalidArgument,
  );
  collector.receive([spans(TRACE, ...Array.from({ length: 5000 }, () => 'many'))]);
  recording.stop();
  collector.receive([spans(TRACE, 'late')]);
  assert.equal(recording.spans.length, 4096);
  assert.equal(recording.spans[0].span.name, 'one');
  assert.deepEqual([passed.length, passed[1], passed.at(-1)], [5003, 'other', 'late']);
});

void test('spans reach a collector by gRPC, also when it was away', async () => {
  const received: { readonly names: string[]; readonly header: string | undefined }[] = [];
  const server = createServer();
  server.add(TraceServiceDefinition, {
    async export({ resourceSpans }, call) {
      received.push({ names: resourceSpans.flatMap(namesOf), header: call.metadata.get('x-key')?.[0] });
      await Promise.resolve();
      return { partialSuccess: new Uint8Array(0) };
    },
  });
  const listener = createNetServer((socket) => void server.serve(socket));
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const away = createOtlpExporter({
    protocol: 'grpc',
    endpoint: 'tcp://127.0.0.1:1',
    ca: undefined,
    headers: [],
    timeoutMs: 1000,
  });
  away.export([spans(TRACE, 'lost')]);
  await away.close();
  const settings = otlpSettings({
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_EXPORTER_OTLP_HEADERS: 'X-Key=v',
  });
  assert.ok(settings);
  const exporter = createOtlpExporter(settings);
  exporter.export([spans(TRACE, 'a'), spans(TRACE, 'b')]);
  await exporter.close();
  assert.deepEqual(received, [{ names: ['a', 'b'], header: 'v' }]);
  await server.close(0);
  listener.close();
});

void test('spans reach a collector by HTTP', async () => {
  const received: string[] = [];
  const server = createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => {
      const { resourceSpans } = ExportTraceServiceRequest.decode(Buffer.concat(chunks));
      received.push(`${request.url} ${request.headers['content-type']} ${resourceSpans.flatMap(namesOf).join(' ')}`);
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const settings = otlpSettings({
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
  });
  assert.ok(settings);
  const exporter = createOtlpExporter(settings);
  exporter.export([spans(TRACE, 'a')]);
  await exporter.close();
  assert.deepEqual(received, ['/v1/traces application/x-protobuf a']);
  server.close();
});
