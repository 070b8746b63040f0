/** Spans of builds and of what runs in their steps, at a collector. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createNetServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ResourceSpans } from '../../src/proto/otlp.pb.ts';
import type { Span } from '../../src/proto/otlp.pb.ts';
import { TraceServiceDefinition } from '../../src/proto/trace.pb.ts';
import { createChannel, createServer, dial } from '../../src/rpc/index.ts';
import { Daemon } from './daemon.ts';
import { until } from './process.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

void describe('OpenTelemetry', { skip: cannotRun, timeout: 120_000 }, () => {
  const received: Span[] = [];
  let scratch: Scratch;
  let daemon: Daemon;
  let listener: Server;

  before(async () => {
    const server = createServer();
    server.add(TraceServiceDefinition, {
      async export({ resourceSpans }) {
        for (const one of resourceSpans) {
          received.push(...ResourceSpans.decode(one).scopeSpans.flatMap(({ spans }) => spans));
        }
        await Promise.resolve();
        return { partialSuccess: new Uint8Array(0) };
      },
    });
    listener = createNetServer((socket) => void server.serve(socket));
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    scratch = await makeScratch();
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
    daemon = await Daemon.start(scratch.folder);
    delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
  });
  after(async () => {
    await daemon?.end();
    listener?.close();
    await scratch?.remove();
  });

  void test('a step finds the socket and its parent, and what it sends is in the trace', async () => {
    const context = writeContext(join(scratch.folder, 'context'), {
      Dockerfile: [
        'FROM busybox AS base',
        'RUN test -S /dev/otel-grpc.sock && env | grep -E "OTEL_|TRACEPARENT" | sort && sleep 2',
        'ENV OTEL_TRACES_EXPORTER=none',
        'RUN env | grep OTEL_TRACES_EXPORTER',
      ].join('\n'),
    });
    const refFile = join(scratch.folder, 'ref');
    const options = [...scratch.busybox, '--progress', 'plain', '--ref-file', refFile];
    process.env.TRACEPARENT = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;
    const building = daemon.spawnBuildctl([...context, ...options]);
    const parent = /TRACEPARENT=00-([0-9a-f]{32})-([0-9a-f]{16})-01/;
    delete process.env.TRACEPARENT;
    await until('the step runs', async () => Promise.resolve(parent.test(building.stderr)));
    const [, traceId, spanId] = parent.exec(building.stderr) as RegExpExecArray;

    const span = {
      traceId: Buffer.from(traceId, 'hex'),
      spanId: Buffer.from('12'.repeat(8), 'hex'),
      parentSpanId: Buffer.from(spanId, 'hex'),
      name: 'inside',
    };
    const inside = ResourceSpans.encode(ResourceSpans.fromPartial({ scopeSpans: [{ spans: [span] }] })).finish();
    const channel = createChannel(await dial(`unix://${join(daemon.root, 'otel-grpc.sock')}`));
    const { methods } = TraceServiceDefinition;
    await channel.unary(TraceServiceDefinition, methods.export, { resourceSpans: [inside] });
    // Nothing else is there.
    const other = { ...TraceServiceDefinition, fullName: 'moby.buildkit.v1.Control' };
    await assert.rejects(channel.unary(other, methods.export, { resourceSpans: [] }), /unknown service/);
    await channel.close();

    const { code, stderr } = await building.ended;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=unix:\/\/\/dev\/otel-grpc.sock/);
    assert.match(stderr, /OTEL_TRACES_EXPORTER=otlp/);
    assert.match(stderr, /OTEL_TRACES_EXPORTER=none/);

    await until('the spans arrive', async () => Promise.resolve(received.some(({ kind }) => kind === 2)));
    const step = received.find((one) => hex(one.spanId) === spanId);
    assert.match(step?.name ?? '', /RUN test -S/);
    const solve = received.find(({ kind }) => kind === 2);
    assert.deepEqual(step?.parentSpanId, solve?.spanId);
    assert.equal(traceId, 'ab'.repeat(16));
    // The client's span, which the daemon passes on, is above the build and below whoever called the client.
    await until('the client is heard', async () => Promise.resolve(received.some(({ name }) => name === 'build')));
    const command = received.find(({ name }) => name === 'build');
    assert.deepEqual(solve?.parentSpanId, command?.spanId);
    assert.equal(hex(command?.parentSpanId ?? new Uint8Array(0)), 'cd'.repeat(8));
    assert.ok(received.some(({ name }) => name === 'inside'));
    const trace = await daemon.ask('debug', 'logs', '--trace', readFileSync(refFile, 'utf8'));
    assert.match(trace, /"Name":"inside"/);
  });
});
