import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Http2Connection } from './connection.ts';
import * as fault from './faults.ts';
import * as frame from './frames.ts';
import { encode, u32, setting, tick, Wire, REQUEST, HELLO, served, asked } from './wire-by-hand.ts';

void test('both ends greet at once, and settings are acknowledged', async () => {
  const wire = new Wire();
  const server = new Http2Connection(wire, () => {});
  assert.deepEqual(
    (await wire.frames()).map((f) => f.type),
    [frame.SETTINGS, frame.WINDOW_UPDATE],
  );
  assert.equal(wire.writes, 1);
  for (const byte of HELLO) wire.feed(Buffer.from([byte]));
  const [ack] = await wire.frames();
  assert.deepEqual([ack.type, ack.flags, ack.payload.length], [frame.SETTINGS, frame.ACK, 0]);
  server.destroy();
  const other = new Wire();
  new Http2Connection(other);
  assert.deepEqual(
    (await other.frames()).map((f) => f.type),
    [frame.SETTINGS, frame.WINDOW_UPDATE],
  );
});

void test('a request and its answer, in however many pieces they come', async () => {
  for (const size of [1, 7, 10_000]) {
    const { wire, streams, logs } = await served();
    const bytes = Buffer.concat([
      wire.headers(1, REQUEST, 0),
      encode(frame.CONTINUATION, 0, 1),
      encode(frame.CONTINUATION, frame.END_HEADERS, 1),
      encode(frame.DATA, frame.PADDED, 1, Buffer.from([3, 1, 2, 0, 0, 0])),
      encode(frame.DATA, frame.PADDED, 1, Buffer.from([0])),
      encode(200, 0xff, 77, Buffer.alloc(20)),
      encode(frame.PRIORITY, 0, 9, Buffer.alloc(5)),
      encode(frame.DATA, frame.END_STREAM, 1, Buffer.alloc(30)),
    ]);
    for (let at = 0; at < bytes.length; at += size) wire.feed(bytes.subarray(at, at + size));
    const received = logs[0].filter((l) => l.startsWith('data')).reduce((n, l) => n + Number(l.slice(5)), 0);
    assert.equal(received, 32);
    assert.equal(logs[0].at(-1), 'end');
    const before = wire.writes;
    streams[0].respond([':status', '200']);
    streams[0].write([Buffer.from('one'), Buffer.from('two')]);
    streams[0].end(['grpc-status', '0']);
    const answer = await wire.frames();
    assert.deepEqual(
      answer.map((f) => [f.type, f.flags]),
      [
        [frame.HEADERS, frame.END_HEADERS],
        [frame.DATA, 0],
        [frame.HEADERS, frame.END_HEADERS | frame.END_STREAM],
      ],
    );
    assert.equal(wire.writes, before + 1);
    assert.equal(answer[1].payload.toString(), 'onetwo');
    assert.deepEqual(wire.fields(answer[0]), [':status', '200']);
    assert.deepEqual(wire.fields(answer[2]), ['grpc-status', '0']);
    assert.equal(logs[0].at(-1), `close ${fault.NO_ERROR}`);
  }
});

void test('large headers leave in several frames', async () => {
  const { wire, streams } = await served();
  wire.feed(wire.headers(1, REQUEST));
  streams[0].respond([':status', '200', 'long', 'x'.repeat(40_000)]);
  const parts = await wire.frames();
  assert.deepEqual(
    parts.map((f) => [f.type, f.flags, f.payload.length <= frame.DEFAULT_MAX_FRAME]),
    [
      [frame.HEADERS, 0, true],
      [frame.CONTINUATION, 0, true],
      [frame.CONTINUATION, frame.END_HEADERS, true],
    ],
  );
});

void test('a server that closes ends what runs, and takes no more', async () => {
  const { wire, streams, logs, connection } = await served();
  wire.feed(wire.headers(1, REQUEST));
  connection.close();
  const [away] = await wire.frames();
  assert.deepEqual([away.type, away.payload.readUInt32BE(), away.payload.readUInt32BE(4)], [frame.GOAWAY, 1, 0]);
  wire.feed(wire.headers(3, REQUEST));
  const [reset] = await wire.frames();
  assert.deepEqual([reset.id, reset.payload.readUInt32BE()], [3, fault.REFUSED_STREAM]);
  wire.feed(encode(frame.DATA, frame.END_STREAM, 1));
  streams[0].end([':status', '200']);
  await connection.closed;
  assert.deepEqual(logs, [['end', 'close 0']]);
  assert.equal((await wire.frames())[0].type, frame.HEADERS);
});

void test('a client whose server goes away ends what it has begun', async () => {
  const { wire, connection, ask } = await asked();
  const first = ask();
  const second = ask();
  wire.feed(encode(frame.GOAWAY, 0, 0, u32(1, fault.NO_ERROR)));
  assert.deepEqual(second.log, [`close ${fault.REFUSED_STREAM}`]);
  assert.throws(ask);
  wire.feed(wire.headers(1, [':status', '103']), wire.headers(1, [':status', '200']), encode(frame.DATA, 0, 1, u32(1)));
  wire.feed(wire.headers(1, ['grpc-status', '0'], frame.END_HEADERS | frame.END_STREAM));
  first.stream.end();
  await connection.closed;
  assert.deepEqual(first.log, ['response 200', 'data 4', 'trailers grpc-status 0', 'end', 'close 0']);
});

void test('a client waits until the server allows another stream', async () => {
  const one = encode(frame.SETTINGS, 0, 0, setting(frame.SETTINGS_MAX_CONCURRENT_STREAMS, 1));
  const { wire, ask } = await asked(one);
  const calls = [ask(), ask(), ask()];
  calls[1].stream.write([Buffer.from('hello')]);
  calls[1].stream.end();
  calls[2].stream.reset(fault.CANCEL);
  assert.deepEqual(calls[2].log, [`close ${fault.CANCEL}`]);
  assert.deepEqual(
    (await wire.frames()).map((f) => [f.type, f.id]),
    [[frame.HEADERS, 1]],
  );
  calls[0].stream.reset(fault.CANCEL);
  assert.deepEqual(
    (await wire.frames()).map((f) => [f.type, f.id]),
    [
      [frame.RST_STREAM, 1],
      [frame.HEADERS, 3],
      [frame.DATA, 3],
    ],
  );
});

void test('no second head follows an end', async () => {
  const { wire, streams } = await served();
  wire.feed(wire.headers(1, REQUEST));
  streams[0].end([':status', '200', 'grpc-status', '4']);
  streams[0].respond([':status', '200']);
  streams[0].write([Buffer.from('late')]);
  streams[0].end(['grpc-status', '0']);
  const [only, ...more] = await wire.frames();
  assert.deepEqual(wire.fields(only), [':status', '200', 'grpc-status', '4']);
  assert.deepEqual(more, []);
});

void test('what a GOAWAY names as the last stream never rises again', async () => {
  const { wire, connection } = await served();
  wire.feed(wire.headers(1, REQUEST));
  connection.close();
  wire.feed(wire.headers(3, REQUEST), encode(frame.PING, 0, 0));
  const told = (await wire.frames()).filter((f) => f.type === frame.GOAWAY);
  assert.deepEqual(
    told.map((f) => [f.payload.readUInt32BE(), f.payload.readUInt32BE(4)]),
    [
      [1, fault.NO_ERROR],
      [1, fault.FRAME_SIZE_ERROR],
    ],
  );
});

void test('a client that wants no streams of ours may ask nonetheless', async () => {
  const { wire, streams, connection } = await served();
  wire.feed(encode(frame.GOAWAY, 0, 0, u32(0, fault.NO_ERROR)), wire.headers(1, REQUEST));
  assert.equal(streams.length, 1);
  assert.ok(connection.isOpen);
  wire.feed(encode(frame.GOAWAY, 0, 0, u32(0, fault.ENHANCE_YOUR_CALM)));
  streams[0].reset(fault.CANCEL);
  await connection.closed;
  assert.match(connection.lost?.message ?? '', /code 11/);
});

void test('who asks again as soon as a call fails, asks a connection that is ending in vain', async () => {
  for (const bytes of [encode(frame.PING, 0, 0), encode(frame.GOAWAY, 0, 0, u32(0, fault.NO_ERROR))]) {
    const { wire, connection, ask } = await asked();
    let refused = 0;
    const { stream } = ask();
    stream.events = { ...stream.events, close: () => assert.throws(ask, () => ++refused > 0) };
    ask();
    await wire.frames();
    wire.feed(bytes);
    await connection.closed;
    assert.equal(refused, 1);
    assert.deepEqual(
      (await wire.frames()).filter((f) => f.type === frame.HEADERS),
      [],
    );
  }
});

void test('answers that wait for a full link cost no write each', async () => {
  const { wire, connection } = await served();
  wire.takes = false;
  const { writes } = wire;
  for (let i = 0; i < 100; i++) {
    wire.feed(encode(frame.PING, 0, 0, Buffer.alloc(8, i)));
    await tick();
  }
  assert.equal(wire.writes, writes + 1);
  // The end does not wait for the link.
  connection.destroy();
  assert.equal((await wire.frames()).length, 100);
  assert.ok(wire.ended);
});
