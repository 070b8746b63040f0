import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fault from './faults.ts';
import * as frame from './frames.ts';
import { MAX_FRAME, MAX_STREAMS, MAX_UNSENT_ANSWERS, NUISANCE_BURST } from './limits.ts';
import { tick, encode, u32, Wire, REQUEST, served, goAway } from './wire-by-hand.ts';

void test('floods end the connection, and as many as a build makes do not', async () => {
  const floods: Record<string, (w: Wire, i: number) => Buffer> = {
    'rapid resets': (w, i) =>
      Buffer.concat([w.headers(2 * i + 1, REQUEST), encode(frame.RST_STREAM, 0, 2 * i + 1, u32(fault.CANCEL))]),
    'requests that are none': (w, i) => w.headers(2 * i + 1, ['a', 'b']),
    'resets that we are made to send': (w, i) =>
      Buffer.concat([w.headers(2 * i + 1, REQUEST), encode(frame.WINDOW_UPDATE, 0, 2 * i + 1, u32(0))]),
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

void test('requests without end to a server that closes end its connection', async () => {
  const { wire, connection, streams } = await served();
  wire.feed(wire.headers(1, REQUEST));
  connection.close();
  for (let i = 1; i < 4 * NUISANCE_BURST && !wire.ended; i++) wire.feed(wire.headers(2 * i + 1, REQUEST));
  assert.equal(await goAway(wire), fault.ENHANCE_YOUR_CALM);
  assert.equal(streams.length, 1);
});
