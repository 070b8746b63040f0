import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Code } from '../base/index.ts';
import type { Http2Stream } from './http2/index.ts';
import { MAX_UNREAD } from './limits.ts';
import { StreamReader } from './message-reader.ts';

/** What a reader asks of its stream. */
class Asked {
  held = 0;
  paused = false;

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  taken(bytes: number): void {
    this.held -= bytes;
    assert.ok(this.held >= 0);
  }
}

function open() {
  const asked = new Asked();
  const type = {
    encode: (message: Uint8Array) => ({ finish: () => message }),
    decode: (bytes: Uint8Array) => bytes,
  };
  const reader = new StreamReader(asked as unknown as Http2Stream, type, Code.Internal);
  const receive = (chunk: Uint8Array): void => {
    asked.held += chunk.length;
    reader.receive(chunk);
  };
  return { asked, reader, receive };
}

/** A message whose bytes are all `mark`. */
function framed(size: number, mark: number): Buffer {
  const out = Buffer.alloc(5 + size, mark);
  out[0] = 0;
  out.writeUInt32BE(size, 1);
  return out;
}

void test('what flows is told at once and in order, what waited first, and the end last', async () => {
  const { asked, reader, receive } = open();
  const log: string[] = [];
  const marks = [framed(3, 1), framed(0, 0), framed(2 * MAX_UNREAD, 2), framed(4, 3)];
  for (const bytes of marks) receive(bytes);
  assert.ok(asked.paused);
  reader.flow(
    (message) => log.push(`${message.length} of ${message[0]}`),
    (error) => log.push(`end ${error?.message}`),
  );
  assert.deepEqual(log, ['3 of 1', '0 of undefined', `${2 * MAX_UNREAD} of 2`, '4 of 3']);
  assert.equal(asked.paused, false);
  receive(framed(5, 4).subarray(0, 7));
  assert.equal(log.length, 4);
  receive(framed(5, 4).subarray(7));
  assert.equal(log[4], '5 of 4');
  assert.equal(asked.held, 0);
  reader.finish();
  reader.fail(new Error('late'));
  assert.deepEqual(log.slice(5), ['end undefined']);
});

void test('what was cut before a fault flows in order, whenever it was cut', () => {
  const { reader, receive } = open();
  const log: string[] = [];
  // The first fills the reader: the rest is cut when it has gone.
  receive(framed(2 * MAX_UNREAD, 1));
  receive(Buffer.concat([framed(1, 2), framed(2, 3), Buffer.from([1, 0, 0, 0, 0])]));
  reader.flow(
    (message) => log.push(`${message[0]}`),
    (error) => log.push(`${error?.message}`),
  );
  assert.deepEqual(log.slice(0, 3), ['1', '2', '3']);
  assert.match(log[3], /compressed/);
  assert.equal(log.length, 4);
});

void test('the end of what flows is an error where something is at fault', () => {
  const ends: [how: (one: ReturnType<typeof open>) => void, message: RegExp][] = [
    [({ reader }) => reader.finish(new Error('status')), /^status$/],
    [({ reader }) => reader.fail(new Error('cancelled')), /^cancelled$/],
    [({ receive }) => receive(Buffer.from([1, 0, 0, 0, 0])), /compressed/],
    [
      ({ reader, receive }) => {
        receive(framed(3, 1).subarray(0, 6));
        reader.finish();
      },
      /unexpected end/,
    ],
  ];
  for (const [how, message] of ends) {
    const one = open();
    const log: (Error | undefined)[] = [];
    let count = 0;
    one.reader.flow(
      () => count++,
      (error) => log.push(error),
    );
    one.receive(framed(1, 1));
    how(one);
    one.receive(framed(1, 1));
    assert.equal(count, 1);
    assert.equal(log.length, 1);
    assert.match(log[0]?.message ?? '', message);
  }
});

void test('messages stay in order when they are read one by one while more come', async () => {
  const { asked, reader, receive } = open();
  const size = 300_000;
  let sent = 0;
  // Beyond what is cut at once, then one for each that is read.
  while (sent < 8) receive(framed(size, sent++));
  assert.ok(asked.paused);
  const seen: number[] = [];
  for (let i = 0; i < 20; i++) {
    seen.push((await reader.read())?.[0] ?? -1);
    if (sent < 20) receive(framed(size, sent++));
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 20 }, (_, i) => i),
  );
  assert.equal(asked.held, 0);
  assert.equal(asked.paused, false);
  reader.finish();
  assert.equal(await reader.read(), undefined);
});

void test('a flood of empty messages is cut in parts, and all of them are read', async () => {
  const { asked, reader, receive } = open();
  const count = 200_000;
  receive(Buffer.alloc(5 * count));
  assert.ok(asked.paused);
  reader.finish();
  let seen = 0;
  for (;;) {
    const batch = await reader.readBatch();
    if (batch === undefined) break;
    assert.ok(batch.length <= MAX_UNREAD / 32 + 4096);
    seen += batch.length;
  }
  assert.equal(seen, count);
  assert.equal(asked.held, 0);
});

void test('what waits uncut is forgotten with the call', async () => {
  const { asked, reader, receive } = open();
  for (let i = 0; i < 8; i++) receive(framed(300_000, i));
  reader.fail(new Error('over'));
  assert.equal(asked.held, 0);
  receive(framed(10, 1));
  assert.equal(asked.held, 0);
  await assert.rejects(reader.read(), /over/);
});

void test('messages before one that is none are read, and then its fault', async () => {
  const { asked, reader, receive } = open();
  const faults: string[] = [];
  reader.onFault = (error) => faults.push(error.message);
  receive(Buffer.concat([framed(3, 1), Buffer.from([1, 0, 0, 0, 0]), framed(3, 2)]));
  assert.equal(faults.length, 1);
  assert.equal((await reader.read())?.length, 3);
  await assert.rejects(reader.read(), /compressed/);
  assert.equal(asked.held, 0);
});
