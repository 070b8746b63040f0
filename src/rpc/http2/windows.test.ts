import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fault from './faults.ts';
import * as frame from './frames.ts';
import { FREELY_HELD, MAX_FRAME, MAX_HELD, MAX_UNSENT_DATA, UNTAKEN_PATIENCE_MS, WINDOW } from './limits.ts';
import type { Http2Stream } from './stream.ts';
import { goAway, encode, u32, setting, REQUEST, served } from './wire-by-hand.ts';

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

void test('streams that wait for each other behind the shut window do not wait for ever', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { wire, streams, logs, connection } = await served();
  const piece = Buffer.alloc(MAX_FRAME);
  let left = WINDOW;
  for (let id = 1; left > 0; id += 2) {
    wire.feed(wire.headers(id, REQUEST));
    const stream = streams.at(-1) as Http2Stream;
    stream.events = { ...stream.events, data() {} };
    if (id > 1) stream.pause();
    // The first holds more than the others: the beginning of one large message.
    for (let i = 0; i < (id === 1 ? 16 : 3) && left > 0; i++, left -= piece.length) {
      wire.feed(encode(frame.DATA, 0, id, piece));
      for (const f of await wire.frames()) if (f.id === 0) left += f.payload.readUInt32BE();
    }
  }
  // Somebody has taken something since: it goes on waiting.
  streams[2].taken(1);
  t.mock.timers.tick(UNTAKEN_PATIENCE_MS);
  assert.deepEqual(await wire.frames(), []);
  t.mock.timers.tick(UNTAKEN_PATIENCE_MS);
  const sent = await wire.frames();
  assert.deepEqual(
    sent.map((f) => [f.type, f.id]),
    [
      [frame.RST_STREAM, 1],
      [frame.WINDOW_UPDATE, 0],
    ],
  );
  assert.equal(sent[0].payload.readUInt32BE(), fault.ENHANCE_YOUR_CALM);
  assert.deepEqual(logs[0], [`close ${fault.ENHANCE_YOUR_CALM}`]);
  // It is open: nobody else has to go.
  t.mock.timers.tick(2 * UNTAKEN_PATIENCE_MS);
  assert.deepEqual(await wire.frames(), []);
  connection.destroy();
});

void test('padding uses the windows up, and is given back', async () => {
  const { wire, logs } = await served();
  wire.feed(wire.headers(1, REQUEST));
  const padded = Buffer.alloc(256);
  padded[0] = 255;
  const frames = Math.ceil((1 << 20) / padded.length);
  for (let i = 0; i < frames; i++) wire.feed(encode(frame.DATA, frame.PADDED, 1, padded));
  const updates = (await wire.frames()).map((f) => [f.type, f.id, f.payload.readUInt32BE()]);
  assert.deepEqual(updates, [
    [frame.WINDOW_UPDATE, 0, frames * padded.length],
    [frame.WINDOW_UPDATE, 1, frames * padded.length],
  ]);
  assert.deepEqual(logs[0], []);
});

void test('a few bytes do not keep all alive that was read with them', async () => {
  const { wire, streams } = await served();
  wire.feed(wire.headers(1, REQUEST));
  const seen: Uint8Array[] = [];
  streams[0].events = { ...streams[0].events, data: (chunk) => seen.push(chunk) };
  const junk = encode(200, 0, 0, Buffer.alloc(MAX_FRAME));
  wire.feed(encode(frame.DATA, 0, 1, Buffer.from('few')), encode(frame.DATA, 0, 1, Buffer.alloc(1 << 18)), junk);
  assert.equal(Buffer.from(seen[0]).toString(), 'few');
  assert.equal(seen[0].buffer.byteLength, 3);
  assert.ok(seen[1].buffer.byteLength > MAX_FRAME, 'the large one is not copied');
});

void test('when much is held, nothing keeps more alive than itself', async () => {
  const { wire, streams } = await served();
  const piece = Buffer.alloc(MAX_FRAME);
  const seen: Uint8Array[] = [];
  const keepOf = (stream: Http2Stream): void => {
    stream.events = { ...stream.events, data: (chunk) => seen.push(chunk) };
  };
  for (let id = 1; id * MAX_FRAME < 4 * FREELY_HELD; id += 2) {
    wire.feed(wire.headers(id, REQUEST));
    keepOf(streams.at(-1) as Http2Stream);
    wire.feed(encode(frame.DATA, 0, id, piece), encode(200, 0, 0, piece));
  }
  let kept = 0;
  for (const chunk of seen) kept += chunk.buffer.byteLength;
  assert.ok(seen.length > (2 * FREELY_HELD) / MAX_FRAME - 2);
  assert.ok(seen[0].buffer.byteLength > 2 * MAX_FRAME, 'the first is a view');
  assert.ok(kept <= seen.length * MAX_FRAME + 2 * FREELY_HELD, `${kept}`);
});

void test('answers that nobody reads are bounded in all, and the largest of them goes', async () => {
  const { wire, streams, logs } = await served();
  const answer = Buffer.alloc(16 << 20);
  for (let i = 0; i * answer.length < MAX_UNSENT_DATA; i++) {
    wire.feed(wire.headers(2 * i + 1, REQUEST));
    streams[i].respond([':status', '200']);
    streams[i].write(i === 1 ? [answer, Buffer.alloc(1 << 20)] : [answer.subarray(1 << 20)]);
  }
  const count = streams.length;
  assert.deepEqual(logs.flat(), []);
  wire.feed(wire.headers(2 * count + 1, REQUEST));
  streams[count].respond([':status', '200']);
  streams[count].write([answer]);
  assert.deepEqual(logs[1], [`close ${fault.ENHANCE_YOUR_CALM}`]);
  assert.deepEqual(logs.flat().length, 1);
  // What has left counts no more, nor what its stream's end has dropped.
  for (const stream of streams) stream.reset(fault.CANCEL);
  wire.feed(encode(frame.WINDOW_UPDATE, 0, 0, u32(0x7fff0000 - 1)));
  for (let i = count + 1; i < 2 * count + 4; i++) {
    wire.feed(wire.headers(2 * i + 1, REQUEST));
    wire.feed(encode(frame.WINDOW_UPDATE, 0, 2 * i + 1, u32(0x7f000000)));
    streams[i].respond([':status', '200']);
    streams[i].write([answer]);
    while (streams[i].unsent > 0) await wire.frames();
    assert.deepEqual(logs[i], []);
  }
});

void test('a window of a stream that a setting would make too large ends the connection', async () => {
  const { wire, streams } = await served();
  wire.feed(wire.headers(1, REQUEST));
  streams[0].respond([':status', '200']);
  wire.feed(encode(frame.WINDOW_UPDATE, 0, 1, u32(0x7fffffff - frame.DEFAULT_WINDOW)));
  await wire.frames();
  assert.equal(wire.ended, false);
  wire.feed(encode(frame.SETTINGS, 0, 0, setting(frame.SETTINGS_INITIAL_WINDOW_SIZE, frame.DEFAULT_WINDOW + 1)));
  assert.equal(await goAway(wire), fault.FLOW_CONTROL_ERROR);
});

void test('an end needs no window', async () => {
  const none = encode(frame.SETTINGS, 0, 0, setting(frame.SETTINGS_INITIAL_WINDOW_SIZE, 0));
  const { wire, streams } = await served(Buffer.concat([frame.PREFACE, none]));
  wire.feed(wire.headers(1, REQUEST), wire.headers(3, REQUEST));
  streams[0].end([':status', '200', 'grpc-status', '0']);
  streams[1].respond([':status', '200']);
  streams[1].write([Buffer.from('x')]);
  streams[1].end(['grpc-status', '0']);
  const kinds = async () => (await wire.frames()).map((f) => [f.type, f.id, f.flags]);
  const all = frame.END_HEADERS | frame.END_STREAM;
  assert.deepEqual(await kinds(), [
    [frame.HEADERS, 3, frame.END_HEADERS],
    [frame.HEADERS, 1, all],
  ]);
  // Trailers stay behind the data.
  wire.feed(encode(frame.WINDOW_UPDATE, 0, 3, u32(1)));
  assert.deepEqual(await kinds(), [
    [frame.DATA, 3, 0],
    [frame.HEADERS, 3, all],
  ]);
});
