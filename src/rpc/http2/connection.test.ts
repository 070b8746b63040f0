import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Http2Connection } from './connection.ts';
import * as fault from './faults.ts';
import * as frame from './frames.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import type { Fields } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { MAX_FRAME, MAX_HELD, MAX_STREAMS, MAX_UNSENT_ANSWERS, NUISANCE_BURST, WINDOW } from './limits.ts';
import type { Link, LinkEvents } from './link.ts';
import type { Http2Stream, StreamEvents } from './stream.ts';

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function encode(type: number, flags: number, id: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

function u32(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) out.writeUInt32BE(value, i * 4);
  return out;
}

function setting(id: number, value: number): Buffer {
  return Buffer.concat([Buffer.from([0, id]), u32(value)]);
}

/** The other end of a connection, by hand. */
class Wire implements Link {
  #events!: LinkEvents;
  #written = Buffer.alloc(0);
  readonly #decoder = new HpackDecoder();
  readonly #encoder = new HpackEncoder();
  writes = 0;
  unsent = 0;
  takes = true;
  ended = false;

  start(events: LinkEvents): void {
    this.#events = events;
  }

  write(pieces: readonly Uint8Array[]): boolean {
    this.writes++;
    this.#written = Buffer.concat([this.#written, ...pieces]);
    if (!this.takes) for (const piece of pieces) this.unsent += piece.length;
    return this.takes;
  }

  end(): void {
    this.ended = true;
    this.#events.closed(undefined);
  }

  destroy(error?: Error): void {
    this.ended = true;
    this.#events.closed(error);
  }

  drain(): void {
    this.takes = true;
    this.unsent = 0;
    this.#events.drain();
  }

  feed(...parts: Uint8Array[]): void {
    this.#events.data(Buffer.concat(parts));
  }

  headers(id: number, fields: Fields, flags = frame.END_HEADERS): Buffer {
    return encode(frame.HEADERS, flags, id, this.#encoder.encode(fields));
  }

  /** What was written since the last time. */
  async frames(): Promise<Frame[]> {
    await tick();
    const out: Frame[] = [];
    let at = this.#written.subarray(0, 3).toString() === 'PRI' ? frame.PREFACE.length : 0;
    while (at < this.#written.length) {
      const end = at + 9 + this.#written.readUIntBE(at, 3);
      const head = this.#written.subarray(at, at + 9);
      out.push({
        type: head[3],
        flags: head[4],
        id: head.readUInt32BE(5),
        payload: this.#written.subarray(at + 9, end),
      });
      at = end;
    }
    this.#written = Buffer.alloc(0);
    return out;
  }

  fields(one: Frame): Fields | undefined {
    return this.#decoder.decode(one.payload);
  }
}

const REQUEST = [':method', 'POST', ':scheme', 'http', ':path', '/a'];
const HELLO = Buffer.concat([frame.PREFACE, encode(frame.SETTINGS, 0, 0)]);

interface Seen extends StreamEvents {
  readonly log: string[];
}

function watch(stream: () => Http2Stream, log: string[] = []): Seen {
  return {
    log,
    response: (_fields, status) => log.push(`response ${status}`),
    trailers: (fields) => log.push(`trailers ${fields.join(' ')}`),
    data: (chunk) => {
      log.push(`data ${chunk.length}`);
      stream().taken(chunk.length);
    },
    end: () => log.push('end'),
    room() {},
    close: (code) => log.push(`close ${code}`),
  };
}

interface Served {
  readonly wire: Wire;
  readonly connection: Http2Connection;
  readonly streams: Http2Stream[];
  readonly logs: string[][];
}

/** A server that has been greeted, and said nothing but its own greeting. */
async function served(greeting: Buffer = HELLO): Promise<Served> {
  const wire = new Wire();
  const streams: Http2Stream[] = [];
  const logs: string[][] = [];
  const connection = new Http2Connection(wire, (stream) => {
    const log: string[] = [];
    streams.push(stream);
    logs.push(log);
    stream.events = watch(() => stream, log);
  });
  wire.feed(greeting);
  await wire.frames();
  return { wire, connection, streams, logs };
}

async function asked(greeting = encode(frame.SETTINGS, 0, 0)) {
  const wire = new Wire();
  const connection = new Http2Connection(wire);
  wire.feed(greeting);
  await wire.frames();
  const ask = () => {
    const log: string[] = [];
    const stream: Http2Stream = connection.request(
      REQUEST,
      watch(() => stream, log),
    );
    return { stream, log };
  };
  return { wire, connection, ask };
}

/** The code of the GOAWAY that ended the connection. */
async function goAway(wire: Wire): Promise<number | undefined> {
  const last = (await wire.frames()).findLast((f) => f.type === frame.GOAWAY);
  if (last !== undefined) assert.ok(wire.ended);
  return last?.payload.readUInt32BE(4);
}

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
    wire.feed(encode(frame.DATA, 0, 1, u32(1)), encode(frame.WINDOW_UPDATE, 0, 1, u32(1)), w3(wire));
    assert.ok(connection.isOpen, what);
    assert.equal(logs.at(-1)?.length, 0, what);
  }
});

const w3 = (wire: Wire): Buffer => wire.headers(3, REQUEST);

void test('we send what the windows of stream and connection allow', async () => {
  const small = encode(frame.SETTINGS, 0, 0, setting(frame.SETTINGS_INITIAL_WINDOW_SIZE, 100));
  const { wire, streams } = await served(Buffer.concat([frame.PREFACE, small]));
  wire.feed(wire.headers(1, REQUEST), wire.headers(3, REQUEST));
  const sizes = async (): Promise<number[][]> => {
    const sent = (await wire.frames()).filter((f) => f.type === frame.DATA);
    return sent.map((f) => [f.id, f.payload.length]);
  };
  for (const stream of streams) {
    stream.respond([':status', '200']);
    stream.write([Buffer.alloc(70_000)]);
  }
  assert.deepEqual(await sizes(), [
    [1, 100],
    [3, 100],
  ]);
  assert.equal(streams[0].unsent, 69_900);
  // A smaller window may be used up already: what is missing comes first.
  wire.feed(encode(frame.SETTINGS, 0, 0, setting(frame.SETTINGS_INITIAL_WINDOW_SIZE, 50)));
  wire.feed(encode(frame.WINDOW_UPDATE, 0, 1, u32(50)));
  assert.deepEqual(await sizes(), []);
  wire.feed(encode(frame.WINDOW_UPDATE, 0, 1, u32(1)));
  assert.deepEqual(await sizes(), [[1, 1]]);
  wire.feed(encode(frame.WINDOW_UPDATE, 0, 3, u32(0x7fff0000)));
  const rest = frame.DEFAULT_WINDOW - 201;
  assert.deepEqual(
    (await sizes()).map(([id, size]) => id * size).reduce((a, b) => a + b),
    3 * rest,
  );
  wire.feed(encode(frame.WINDOW_UPDATE, 0, 0, u32(10)));
  assert.deepEqual(await sizes(), [[3, 10]]);
  wire.feed(encode(frame.WINDOW_UPDATE, 0, 1, u32(100_000)), encode(frame.WINDOW_UPDATE, 0, 0, u32(1 << 20)));
  const both = await sizes();
  assert.deepEqual(
    [1, 3].map((id) => both.filter(([one]) => one === id).reduce((sum, [, size]) => sum + size, 0)),
    [69_899, 70_000 - 100 - rest - 10],
  );
  assert.ok(both.every(([, size]) => size <= frame.DEFAULT_MAX_FRAME));
  // In turns, not one after the other.
  assert.notEqual(both[0][0], both[1][0]);
});

void test('a reader that takes gets more, one that has paused does not', async () => {
  const { wire, streams } = await served();
  const piece = Buffer.alloc(MAX_FRAME / 2);
  wire.feed(wire.headers(1, REQUEST), wire.headers(3, REQUEST));
  streams[0].pause();
  const send = (id: number): void => {
    for (let sent = 0; sent < WINDOW; sent += piece.length) wire.feed(encode(frame.DATA, 0, id, piece));
  };
  const updates = async (id: number): Promise<number> =>
    (await wire.frames())
      .filter((f) => f.type === frame.WINDOW_UPDATE && f.id === id)
      .reduce((sum, f) => sum + f.payload.readUInt32BE(), 0);
  send(1);
  assert.equal(await updates(1), 0);
  send(3);
  assert.equal(await updates(3), WINDOW);
  streams[0].resume();
  assert.equal(await updates(1), WINDOW);
  // Who sends more than the window is not listened to.
  streams[0].pause();
  send(1);
  await wire.frames();
  wire.feed(encode(frame.DATA, 0, 1, Buffer.alloc(1)));
  const [reset] = await wire.frames();
  assert.deepEqual([reset.type, reset.payload.readUInt32BE()], [frame.RST_STREAM, fault.FLOW_CONTROL_ERROR]);
});

void test('what nobody takes stops the whole connection in the end', async () => {
  const { wire, streams, connection } = await served();
  const piece = Buffer.alloc(MAX_FRAME);
  let left = WINDOW;
  let held = 0;
  for (let id = 1; left > 0; id += 2) {
    wire.feed(wire.headers(id, REQUEST));
    const stream = streams.at(-1) as Http2Stream;
    stream.events = { ...stream.events, data: (chunk) => (held += chunk.length) };
    stream.pause();
    for (let i = 0; i < WINDOW / piece.length && left > 0; i++, left -= piece.length) {
      wire.feed(encode(frame.DATA, 0, id, piece));
      for (const f of await wire.frames()) if (f.id === 0) left += f.payload.readUInt32BE();
    }
  }
  assert.ok(held > MAX_HELD && held <= MAX_HELD + WINDOW, `${held}`);
  streams[0].taken(WINDOW);
  streams[1].taken(WINDOW);
  assert.ok((await wire.frames()).some((f) => f.type === frame.WINDOW_UPDATE && f.id === 0));
  for (const stream of streams) stream.reset(fault.CANCEL);
  connection.destroy();
  await connection.closed;
});

void test('floods end the connection, and as many as a build makes do not', async () => {
  const floods: Record<string, (w: Wire, i: number) => Buffer> = {
    'rapid resets': (w, i) =>
      Buffer.concat([w.headers(2 * i + 1, REQUEST), encode(frame.RST_STREAM, 0, 2 * i + 1, u32(fault.CANCEL))]),
    'requests that are none': (w, i) => w.headers(2 * i + 1, ['a', 'b']),
    settings: () => encode(frame.SETTINGS, 0, 0),
    'empty frames': (w, i) => (i === 0 ? w.headers(1, REQUEST) : encode(frame.DATA, 0, 1)),
  };
  for (const [what, one] of Object.entries(floods)) {
    const { wire } = await served();
    for (let i = 0; i < NUISANCE_BURST - 1; i++) wire.feed(one(wire, i));
    assert.equal(wire.ended, false, what);
    for (let i = NUISANCE_BURST; i < 4 * NUISANCE_BURST && !wire.ended; i++) wire.feed(one(wire, i));
    assert.equal(await goAway(wire), fault.ENHANCE_YOUR_CALM, what);
  }
});

void test('header blocks without end, and answers that nobody reads, end the connection', async () => {
  const endless = await served();
  endless.wire.feed(endless.wire.headers(1, REQUEST, 0));
  for (let i = 0; i < 2000 && !endless.wire.ended; i++) endless.wire.feed(encode(frame.CONTINUATION, 0, 1));
  assert.equal(await goAway(endless.wire), fault.ENHANCE_YOUR_CALM);

  const large = await served();
  large.wire.feed(large.wire.headers(1, REQUEST, 0));
  for (let i = 0; i < 2; i++) large.wire.feed(encode(frame.CONTINUATION, 0, 1, Buffer.alloc(MAX_FRAME)));
  assert.equal(await goAway(large.wire), fault.ENHANCE_YOUR_CALM);

  const pings = await served();
  pings.wire.takes = false;
  const many = Buffer.concat(Array<Buffer>(10_000).fill(encode(frame.PING, 0, 0, Buffer.alloc(8))));
  for (let sent = 0; sent <= MAX_UNSENT_ANSWERS + many.length && !pings.wire.ended; sent += many.length) {
    pings.wire.feed(many);
    await tick();
  }
  assert.ok(pings.wire.ended);
  assert.match(pings.connection.lost?.message ?? '', /does not read/);
});

void test('a connection that is full gets nothing more, and then answers before data', async () => {
  const { wire, streams } = await served();
  wire.feed(wire.headers(1, REQUEST));
  wire.takes = false;
  streams[0].respond([':status', '200']);
  await wire.frames();
  streams[0].write([Buffer.alloc(1000)]);
  wire.feed(encode(frame.PING, 0, 0, Buffer.from('12345678')));
  assert.deepEqual(await wire.frames(), []);
  wire.drain();
  const [pong, data, ...more] = await wire.frames();
  assert.deepEqual([pong.type, pong.flags, pong.payload.toString()], [frame.PING, frame.ACK, '12345678']);
  assert.deepEqual([data.type, data.payload.length], [frame.DATA, 1000]);
  assert.deepEqual(more, []);
});

void test('streams beyond the limit are refused', async () => {
  const { wire, streams } = await served();
  for (let i = 0; i <= MAX_STREAMS; i++) wire.feed(wire.headers(2 * i + 1, REQUEST));
  const [reset] = await wire.frames();
  assert.deepEqual([reset.type, reset.payload.readUInt32BE()], [frame.RST_STREAM, fault.REFUSED_STREAM]);
  assert.equal(streams.length, MAX_STREAMS);
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
