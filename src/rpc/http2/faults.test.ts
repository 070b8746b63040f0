import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Http2Connection } from './connection.ts';
import * as fault from './faults.ts';
import * as frame from './frames.ts';
import { MAX_FRAME } from './limits.ts';
import { encode, u32, setting, Wire, REQUEST, served, asked, goAway } from './wire-by-hand.ts';

void test('what ends the connection, with which code', async () => {
  const h = (w: Wire, id = 1): Buffer => w.headers(id, REQUEST);
  const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR, COMPRESSION_ERROR } = fault;
  const cases: Array<[what: string, code: number, bytes: (w: Wire) => Buffer[]]> = [
    ['a frame that is too large', FRAME_SIZE_ERROR, () => [encode(frame.DATA, 0, 1, Buffer.alloc(MAX_FRAME + 1))]],
    ['data on stream 0', PROTOCOL_ERROR, () => [encode(frame.DATA, 0, 0)]],
    ['data on a stream that was never opened', PROTOCOL_ERROR, () => [encode(frame.DATA, 0, 5)]],
    ['a reset of such a one', PROTOCOL_ERROR, () => [encode(frame.RST_STREAM, 0, 5, u32(8))]],
    ['a window of such a one', PROTOCOL_ERROR, () => [encode(frame.WINDOW_UPDATE, 0, 5, u32(8))]],
    ['headers of an even stream', PROTOCOL_ERROR, (w) => [h(w, 2)]],
    ['headers on stream 0', PROTOCOL_ERROR, (w) => [h(w, 0)]],
    ['a continuation of nothing', PROTOCOL_ERROR, () => [encode(frame.CONTINUATION, 4, 1)]],
    [
      'a header block that is interrupted',
      PROTOCOL_ERROR,
      (w) => [w.headers(1, REQUEST, 0), encode(frame.PING, 0, 0, Buffer.alloc(8))],
    ],
    ['one that goes on elsewhere', PROTOCOL_ERROR, (w) => [w.headers(1, REQUEST, 0), encode(frame.CONTINUATION, 4, 3)]],
    ['one that an unknown frame interrupts', PROTOCOL_ERROR, (w) => [w.headers(1, REQUEST, 0), encode(99, 0, 0)]],
    ['a push', PROTOCOL_ERROR, (w) => [h(w), encode(frame.PUSH_PROMISE, 4, 1, u32(2))]],
    ['headers that are no HPACK', COMPRESSION_ERROR, () => [encode(frame.HEADERS, 4, 1, Buffer.from([0x80]))]],
    [
      'more padding than headers',
      PROTOCOL_ERROR,
      () => [encode(frame.HEADERS, 4 | frame.PADDED, 1, Buffer.from([9, 1]))],
    ],
    ['padding of headers without its length', PROTOCOL_ERROR, () => [encode(frame.HEADERS, 4 | frame.PADDED, 1)]],
    [
      'a priority that is cut off',
      PROTOCOL_ERROR,
      () => [encode(frame.HEADERS, 4 | frame.WITH_PRIORITY, 1, Buffer.alloc(4))],
    ],
    ['more padding than data', PROTOCOL_ERROR, (w) => [h(w), encode(frame.DATA, frame.PADDED, 1, Buffer.from([2, 0]))]],
    ['padding of data without its length', FRAME_SIZE_ERROR, (w) => [h(w), encode(frame.DATA, frame.PADDED, 1)]],
    ['a short ping', FRAME_SIZE_ERROR, () => [encode(frame.PING, 0, 0, Buffer.alloc(7))]],
    ['a ping of a stream', PROTOCOL_ERROR, (w) => [h(w), encode(frame.PING, 0, 1, Buffer.alloc(8))]],
    ['a long reset', FRAME_SIZE_ERROR, (w) => [h(w), encode(frame.RST_STREAM, 0, 1, u32(1, 2))]],
    ['a reset of the connection', PROTOCOL_ERROR, () => [encode(frame.RST_STREAM, 0, 0, u32(1))]],
    ['a short window update', FRAME_SIZE_ERROR, () => [encode(frame.WINDOW_UPDATE, 0, 0, Buffer.alloc(3))]],
    ['a window update of nothing', PROTOCOL_ERROR, () => [encode(frame.WINDOW_UPDATE, 0, 0, u32(0))]],
    ['a window that overflows', FLOW_CONTROL_ERROR, () => [encode(frame.WINDOW_UPDATE, 0, 0, u32(0x7fffffff))]],
    ['settings of a stream', PROTOCOL_ERROR, (w) => [h(w), encode(frame.SETTINGS, 0, 1)]],
    ['settings that are cut off', FRAME_SIZE_ERROR, () => [encode(frame.SETTINGS, 0, 0, Buffer.alloc(5))]],
    [
      'settings that acknowledge with something',
      FRAME_SIZE_ERROR,
      () => [encode(frame.SETTINGS, 1, 0, Buffer.alloc(6))],
    ],
    ['too many settings', PROTOCOL_ERROR, () => [encode(frame.SETTINGS, 0, 0, Buffer.alloc(6 * 65))]],
    ['a wrong frame size', PROTOCOL_ERROR, () => [encode(frame.SETTINGS, 0, 0, setting(5, 16_383))]],
    ['a wrong window', FLOW_CONTROL_ERROR, () => [encode(frame.SETTINGS, 0, 0, setting(4, 0x80000000))]],
    ['a wrong word on pushes', PROTOCOL_ERROR, () => [encode(frame.SETTINGS, 0, 0, setting(2, 2))]],
    ['a short GOAWAY', FRAME_SIZE_ERROR, () => [encode(frame.GOAWAY, 0, 0, u32(0))]],
  ];
  for (const [what, code, bytes] of cases) {
    const { wire, logs, connection } = await served();
    wire.feed(...bytes(wire));
    assert.equal(await goAway(wire), code, what);
    assert.ok(connection.lost instanceof Error, what);
    for (const log of logs) assert.equal(log.at(-1), 'close undefined', what);
    await connection.closed;
    wire.feed(encode(frame.PING, 0, 0, Buffer.alloc(8)));
    assert.deepEqual(await wire.frames(), [], what);
  }
});

void test('a greeting that is none ends the connection', async () => {
  for (const greeting of [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.concat([frame.PREFACE, encode(frame.PING, 0, 0, Buffer.alloc(8))]),
    Buffer.concat([frame.PREFACE, encode(frame.SETTINGS, frame.ACK, 0)]),
  ]) {
    const wire = new Wire();
    new Http2Connection(wire, () => {});
    wire.feed(greeting);
    assert.equal(await goAway(wire), fault.PROTOCOL_ERROR);
  }
});

void test('what ends one stream alone, with which code', async () => {
  const { PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED } = fault;
  const end = frame.END_HEADERS | frame.END_STREAM;
  const cases: Array<[what: string, code: number, bytes: (w: Wire) => Buffer[]]> = [
    ['no path', PROTOCOL_ERROR, (w) => [w.headers(1, REQUEST.slice(0, 4))]],
    ['a path twice', PROTOCOL_ERROR, (w) => [w.headers(1, [...REQUEST, ':path', '/b'])]],
    ['a status', PROTOCOL_ERROR, (w) => [w.headers(1, [...REQUEST, ':status', '200'])]],
    ['a pseudo field behind others', PROTOCOL_ERROR, (w) => [w.headers(1, ['a', 'b', ...REQUEST])]],
    ['capitals', PROTOCOL_ERROR, (w) => [w.headers(1, [...REQUEST, 'Te', 'trailers'])]],
    ['an empty name', PROTOCOL_ERROR, (w) => [w.headers(1, [...REQUEST, '', 'x'])]],
    ['a line end', PROTOCOL_ERROR, (w) => [w.headers(1, [...REQUEST, 'a', 'b\r\nc: d'])]],
    ['HTTP/1', PROTOCOL_ERROR, (w) => [w.headers(1, [...REQUEST, 'transfer-encoding', 'chunked'])]],
    ['trailers that are not the end', PROTOCOL_ERROR, (w) => [w.headers(1, REQUEST), w.headers(1, ['a', 'b'])]],
    ['pseudo trailers', PROTOCOL_ERROR, (w) => [w.headers(1, REQUEST), w.headers(1, [':path', 'b'], end)]],
    ['data after the end', STREAM_CLOSED, (w) => [w.headers(1, REQUEST, end), encode(frame.DATA, 0, 1, u32(1))]],
    ['headers after the end', STREAM_CLOSED, (w) => [w.headers(1, REQUEST, end), w.headers(1, ['a', 'b'], end)]],
    [
      'a window update of nothing',
      PROTOCOL_ERROR,
      (w) => [w.headers(1, REQUEST), encode(frame.WINDOW_UPDATE, 0, 1, u32(0))],
    ],
    [
      'a window that overflows',
      FLOW_CONTROL_ERROR,
      (w) => [w.headers(1, REQUEST), encode(frame.WINDOW_UPDATE, 0, 1, u32(0x7fffffff))],
    ],
    [
      'a list that is too large',
      fault.ENHANCE_YOUR_CALM,
      (w) => [w.headers(1, [...REQUEST, ...Array<string>(40_000).fill('')])],
    ],
  ];
  for (const [what, code, bytes] of cases) {
    const { wire, logs, connection } = await served();
    wire.feed(...bytes(wire));
    const [reset] = await wire.frames();
    assert.deepEqual([reset.type, reset.id, reset.payload.readUInt32BE()], [frame.RST_STREAM, 1, code], what);
    for (const log of logs) assert.equal(log.at(-1), `close ${code}`, what);
    // What comes late for it harms nobody.
    wire.feed(encode(frame.DATA, 0, 1, u32(1)), encode(frame.WINDOW_UPDATE, 0, 1, u32(1)), wire.headers(3, REQUEST));
    assert.ok(connection.isOpen, what);
    assert.equal(logs.at(-1)?.length, 0, what);
  }
});

void test('what a server must not do to a client', async () => {
  const { PROTOCOL_ERROR } = fault;
  const connectionFaults = [
    encode(frame.PUSH_PROMISE, 4, 1, u32(2)),
    encode(frame.SETTINGS, 0, 0, setting(frame.SETTINGS_ENABLE_PUSH, 1)),
    encode(frame.DATA, 0, 3),
  ];
  for (const bytes of connectionFaults) {
    const { wire, ask } = await asked();
    ask();
    wire.feed(bytes);
    assert.equal(await goAway(wire), PROTOCOL_ERROR);
  }
  const streamFaults: Array<(w: Wire) => Buffer> = [
    () => encode(frame.DATA, 0, 1),
    (w) => w.headers(1, ['a', 'b']),
    (w) => w.headers(1, [':status', '20x']),
    (w) => w.headers(1, [':status', '100'], frame.END_HEADERS | frame.END_STREAM),
    (w) => w.headers(1, [...REQUEST, ':status', '200']),
  ];
  for (const bytes of streamFaults) {
    const { wire, ask, connection } = await asked();
    const { log } = ask();
    wire.feed(bytes(wire));
    assert.deepEqual(log, [`close ${PROTOCOL_ERROR}`]);
    assert.ok(connection.isOpen);
  }
});
