import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Deferred } from '../base/index.ts';
import { CallLink, linkFromServerCall } from './call-link.ts';
import { FLUSH_PATIENCE_MS } from './http2/index.ts';
import type { Bytes } from './raw.ts';
import type { MessageReader, MessageWriter } from './types.ts';

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The call below, by hand. */
class Call implements MessageReader<Bytes>, MessageWriter<Bytes> {
  readonly written: Bytes[] = [];
  #each: (message: Bytes) => void = () => {};
  finish: (error: Error | undefined) => void = () => {};
  /** Writes wait for it. */
  room = Promise.resolve();

  read(): Promise<Bytes | undefined> {
    throw new Error('it flows');
  }

  readBatch(): Promise<Bytes[] | undefined> {
    throw new Error('it flows');
  }

  flow(each: (message: Bytes) => void, end: (error: Error | undefined) => void): void {
    this.#each = each;
    this.finish = end;
  }

  [Symbol.asyncIterator](): AsyncIterator<Bytes> {
    throw new Error('it flows');
  }

  /** What the peer says next. */
  say(...texts: string[]): void {
    for (const text of texts) this.#each({ data: Buffer.from(text) });
  }

  write(message: Bytes): Promise<void> {
    this.written.push(message);
    return this.room;
  }

  writeBatch(): Promise<void> {
    throw new Error('one message after the other');
  }

  get bytes(): string {
    return Buffer.concat(this.written.flatMap(({ data, more = [] }) => [data, ...more])).toString();
  }
}

function open(t?: TestContext) {
  t?.mock.timers.enable({ apis: ['setTimeout'] });
  const call = new Call();
  const log: string[] = [];
  const link = new CallLink(call, call, (error) => log.push(`over ${error?.message}`));
  link.start({
    data: (chunk) => log.push(String(chunk)),
    drain: () => log.push('drain'),
    end: () => log.push('end'),
    closed: (error) => log.push(`closed ${error?.message}`),
  });
  return { call, log, link };
}

void test('bytes go through in both directions, those of one write in few messages', async () => {
  const { call, log, link } = open();
  await tick();
  call.say('one', 'two');
  assert.equal(link.write([Buffer.from('a'), Buffer.from('b'), Buffer.from('c')]), true);
  assert.equal(call.written.length, 1);
  link.write([Buffer.alloc(200 << 10), Buffer.alloc(200 << 10), Buffer.from('end')]);
  assert.equal(call.written.length, 3);
  assert.equal(call.bytes.replaceAll('\0', ''), 'abcend');
  call.finish(undefined);
  await tick();
  assert.deepEqual(log, ['one', 'two', 'end']);
  link.destroy();
  call.say('late');
  link.destroy(new Error('late'));
  assert.equal(link.write([Buffer.from('lost')]), true);
  await tick();
  assert.deepEqual(log.slice(3), ['over undefined', 'closed undefined']);
  assert.equal(call.written.length, 3);
  assert.equal(await link.closed, undefined);
});

void test('a call that takes no more says so, and when it does again', async () => {
  const { call, log, link } = open();
  const room = new Deferred();
  call.room = room.promise;
  const piece = Buffer.alloc(600 << 10);
  assert.equal(link.write([piece]), true);
  assert.equal(link.write([piece]), false);
  assert.equal(link.unsent, 2 * piece.length);
  await tick();
  assert.deepEqual(log, []);
  room.resolve();
  await tick();
  assert.deepEqual(log, ['drain']);
  assert.equal(link.unsent, 0);
});

void test('it ends when what was taken has left, or when nothing leaves any more', async (t) => {
  const { call, log, link } = open(t);
  const room = new Deferred();
  call.room = room.promise;
  link.write([Buffer.from('last words')]);
  link.end();
  link.write([Buffer.from('none')]);
  await tick();
  assert.deepEqual(log, []);
  room.resolve();
  await tick();
  await tick();
  assert.deepEqual(log, ['over undefined', 'closed undefined']);
  assert.equal(call.bytes, 'last words');

  const stuck = open();
  stuck.call.room = new Promise(() => {});
  stuck.link.write([Buffer.from('last words')]);
  stuck.link.end();
  t.mock.timers.tick(FLUSH_PATIENCE_MS - 1);
  await tick();
  assert.deepEqual(stuck.log, []);
  t.mock.timers.tick(1);
  await tick();
  assert.deepEqual(stuck.log, ['over undefined', 'closed undefined']);
});

void test('what goes wrong with the call is told once, whichever direction notices', async () => {
  const reading = open();
  await tick();
  reading.call.finish(new Error('no more'));
  await tick();
  assert.deepEqual(reading.log, ['over no more', 'closed no more']);
  assert.equal((await reading.link.closed)?.message, 'no more');
  const writing = open();
  writing.call.room = Promise.reject(new Error('no room'));
  writing.link.write([Buffer.from('a')]);
  writing.link.write([Buffer.from('b')]);
  await tick();
  assert.deepEqual(writing.log, ['over no room', 'closed no room']);
});

void test('a call that was cancelled before anybody looked is over', async () => {
  const call = new Call();
  const link = linkFromServerCall(call, call, AbortSignal.abort());
  const log: string[] = [];
  link.start({ data() {}, drain() {}, end() {}, closed: () => log.push('closed') });
  assert.deepEqual(log, []);
  await tick();
  assert.deepEqual(log, ['closed']);
});
