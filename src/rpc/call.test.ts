/** gRPC's calls against the other end by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuildError, Code } from '../base/index.ts';
import { createChannel } from './channel.ts';
import { bytesMethod, oneMethod } from './raw.ts';
import { createServer } from './server.ts';
import type { Bytes } from './raw.ts';
import type { Channel, ClientStream, MessageWriter } from './types.ts';
import * as fault from './http2/faults.ts';
import * as frame from './http2/frames.ts';
import { encode, HELLO, setting, tick, u32, Wire } from './http2/wire-by-hand.ts';

const types = { requestType: { encode: raw, decode: bytes }, responseType: { encode: raw, decode: bytes } };
const stream = bytesMethod({ name: 'Stream', requestStream: true, responseStream: true, ...types } as const);
const service = oneMethod({ fullName: 'test.Calls', methods: {} }, 'stream', stream);

function raw(message: Uint8Array): { finish(): Uint8Array } {
  return { finish: () => message };
}

function bytes(input: Uint8Array): Uint8Array {
  return input;
}

const END = frame.END_HEADERS | frame.END_STREAM;
const HEAD = [':status', '200', 'content-type', 'application/grpc'];
const message = (text: string): Buffer =>
  Buffer.concat([Buffer.from([0, 0, 0, 0, text.length + 2, 0x0a, text.length]), Buffer.from(text)]);

interface Called {
  readonly wire: Wire;
  readonly channel: Channel;
  readonly call: ClientStream<Bytes, Bytes>;
}

async function called(): Promise<Called> {
  const wire = new Wire();
  const channel = createChannel(wire);
  wire.feed(encode(frame.SETTINGS, 0, 0));
  const call = channel.stream(service, stream);
  await wire.frames();
  return { wire, channel, call };
}

void test('how a call of ours ends, by what its server sends', async () => {
  const cases: Array<[what: string, bytes: (w: Wire) => Buffer[], reads: string[], code: number, text: string]> = [
    ['trailers alone', (w) => [w.headers(1, [...HEAD, 'grpc-status', '5', 'grpc-message', 'no'], END)], [], 5, 'no'],
    [
      'a message, then the status',
      (w) => [w.headers(1, HEAD), encode(0, 0, 1, message('a')), w.headers(1, ['grpc-status', '9'], END)],
      ['a'],
      Code.FailedPrecondition,
      '',
    ],
    [
      'an end without status',
      (w) => [w.headers(1, HEAD), encode(0, frame.END_STREAM, 1, message('a'))],
      ['a'],
      Code.Internal,
      'server closed the stream without sending trailers',
    ],
    [
      'the status of the trailers counts, not that of the head',
      (w) => [w.headers(1, [...HEAD, 'grpc-status', '0']), w.headers(1, ['grpc-status', '7'], END)],
      [],
      Code.PermissionDenied,
      '',
    ],
    [
      'a proxy with a page of its own',
      (w) => [w.headers(1, [':status', '503']), encode(0, 0, 1, Buffer.from('<html>'))],
      [],
      Code.Unavailable,
      'unexpected HTTP status code 503',
    ],
    [
      'a reset behind a message',
      (w) => [w.headers(1, HEAD), encode(0, 0, 1, message('a')), encode(3, 0, 1, u32(fault.INTERNAL_ERROR))],
      ['a'],
      Code.Internal,
      'RST_STREAM with error code 2',
    ],
    ['the end of the connection', () => [encode(frame.GOAWAY, 0, 0, u32(0, 0))], [], Code.Unavailable, 'refused'],
  ];
  for (const [what, sent, reads, code, text] of cases) {
    const { wire, channel, call } = await called();
    wire.feed(...sent(wire));
    for (const one of reads) assert.equal(Buffer.from((await call.read())?.data ?? []).toString(), one, what);
    await assert.rejects(
      call.read(),
      (e: BuildError) => {
        assert.equal(e.code, code, what);
        assert.ok(e.message.includes(text), `${what}: ${e.message}`);
        return true;
      },
      what,
    );
    await assert.rejects(call.write({ data: Buffer.from('x') }), what);
    // Our half was open: the server learns that nothing more comes.
    const last = (await wire.frames()).at(-1);
    if (!wire.ended && !text.includes('RST_STREAM'))
      assert.deepEqual([last?.type, last?.id], [frame.RST_STREAM, 1], what);
    await channel.close();
  }
});

void test('a handler that waits for room learns that the client has gone', async () => {
  const server = createServer();
  const over: string[] = [];
  server.add(service, {
    stream: async (_input: unknown, out: MessageWriter<Bytes>) => {
      void out.write({ data: Buffer.alloc(2 << 20) }).catch((error: BuildError) => over.push(`left: ${error.message}`));
      await Promise.resolve();
    },
  } as never);
  const wire = new Wire();
  const served = server.serve(wire);
  const none = encode(frame.SETTINGS, 0, 0, setting(frame.SETTINGS_INITIAL_WINDOW_SIZE, 0));
  wire.feed(HELLO, none);
  const fields = [':method', 'POST', ':scheme', 'http', ':path', '/test.Calls/Stream'];
  wire.feed(wire.headers(1, [...fields, 'content-type', 'application/grpc']));
  await wire.frames();
  assert.deepEqual(over, []);
  wire.feed(encode(frame.RST_STREAM, 0, 1, u32(fault.CANCEL)));
  await tick();
  assert.deepEqual(over, ['left: context canceled']);
  await server.close(0);
  await served;
});

void test('who does not speak gRPC is answered, and may not go on sending', async () => {
  const server = createServer();
  const wire = new Wire();
  const served = server.serve(wire);
  wire.feed(HELLO);
  await wire.frames();
  const ask = [':method', 'POST', ':scheme', 'http', ':path', '/a'];
  wire.feed(
    wire.headers(1, ask),
    encode(frame.DATA, 0, 1, u32(1)),
    wire.headers(3, [':method', 'GET', ...ask.slice(2)], END),
  );
  const [first, reset, second, ...more] = await wire.frames();
  assert.deepEqual(wire.fields(first), [':status', '415']);
  assert.deepEqual([reset.type, reset.id, reset.payload.readUInt32BE()], [frame.RST_STREAM, 1, fault.NO_ERROR]);
  assert.deepEqual(wire.fields(second), [':status', '405']);
  assert.deepEqual(more, []);
  await server.close(0);
  await served;
});
