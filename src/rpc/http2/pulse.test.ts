import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Http2Connection } from './connection.ts';
import * as frame from './frames.ts';
import { ANSWER_MS, ASK_AFTER_MS, CLIENT_GREETING_MS, SERVER_GREETING_MS } from './limits.ts';
import { asked, encode, HELLO, served, tick, Wire } from './wire-by-hand.ts';

function clock(t: TestContext): (ms: number) => Promise<void> {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  return async (ms) => {
    t.mock.timers.tick(ms);
    await tick();
    await tick();
  };
}

void test('who does not say that he speaks HTTP/2 is not waited for', async (t) => {
  const pass = clock(t);
  const mute = new Wire();
  const server = new Http2Connection(mute, () => {});
  const halfway = new Wire();
  void new Http2Connection(halfway, () => {});
  halfway.feed(HELLO.subarray(0, -1));
  const polite = new Wire();
  void new Http2Connection(polite, () => {});
  polite.feed(HELLO);
  await pass(SERVER_GREETING_MS - 1);
  assert.equal(mute.ended, false);
  await pass(1);
  assert.deepEqual([mute.ended, halfway.ended, polite.ended], [true, true, false]);
  assert.match(server.lost?.message ?? '', /says nothing/);
  await server.closed;
});

void test('a client waits for its server, whose answers may take any time once it has spoken', async (t) => {
  const pass = clock(t);
  const wire = new Wire();
  const client = new Http2Connection(wire);
  const log: unknown[] = [];
  client.request([':method', 'POST', ':scheme', 'http', ':path', '/a'], {
    data() {},
    end() {},
    room() {},
    close: (code) => log.push(code),
  });
  await pass(CLIENT_GREETING_MS - 1);
  assert.deepEqual(log, []);
  await pass(1);
  assert.deepEqual(log, [undefined]);
  assert.match(client.lost?.message ?? '', /server preface/);
  const slow = await asked();
  slow.ask();
  await slow.wire.frames();
  await pass(2 * ASK_AFTER_MS + 2 * ANSWER_MS);
  assert.equal(slow.wire.ended, false);
  assert.deepEqual(await slow.wire.frames(), []);
});

void test('what came while the process stood still is read before anybody is given up', async (t) => {
  const pass = clock(t);
  const wire = new Wire();
  void new Http2Connection(wire, () => {});
  setImmediate(() => wire.feed(HELLO));
  await pass(2 * SERVER_GREETING_MS);
  assert.equal(wire.ended, false);
});

void test('a client that has long said nothing is asked, and has to answer', async (t) => {
  const pass = clock(t);
  const { wire, connection } = await served();
  const asks = async (): Promise<number> => (await wire.frames()).filter((f) => f.type === frame.PING).length;
  await pass(ASK_AFTER_MS - 1);
  wire.feed(encode(frame.WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 0, 1])));
  await pass(1);
  assert.equal(await asks(), 0);
  await pass(ASK_AFTER_MS);
  assert.equal(await asks(), 1);
  wire.feed(encode(frame.PING, frame.ACK, 0, Buffer.alloc(8)));
  await pass(ANSWER_MS);
  assert.equal(wire.ended, false);
  await pass(ASK_AFTER_MS);
  assert.equal(await asks(), 1);
  await pass(ANSWER_MS - 1);
  assert.equal(wire.ended, false);
  await pass(1);
  assert.equal(wire.ended, true);
  assert.match(connection.lost?.message ?? '', /does not answer/);
  await connection.closed;
});

void test('a connection that ends knows why, where that can be known', async () => {
  const early = new Wire();
  const client = new Http2Connection(early);
  early.hangUp();
  assert.match(client.lost?.message ?? '', /server preface: EOF/);
  const failed = new Wire();
  const refused = new Http2Connection(failed);
  failed.hangUp(new Error('certificate required'));
  assert.equal(refused.lost?.message, 'certificate required');
  const greeted = await asked();
  greeted.wire.hangUp();
  assert.equal(greeted.connection.lost, undefined);
  const looked = new Wire();
  const server = new Http2Connection(looked, () => {});
  looked.hangUp();
  assert.equal(server.lost, undefined);
});
