import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeFrame, FrameDecoder } from './framing.ts';
import { bytesType } from './raw.ts';

const framed = (sizes: readonly number[]): Buffer =>
  Buffer.concat(
    sizes.flatMap((size, i) => {
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(size, 1);
      return [prefix, Buffer.alloc(size, i + 1)];
    }),
  );

void test('messages are the same however the bytes were cut', () => {
  const sizes = [0, 1, 5, 0, 3000, 70_000, 0, 2];
  const bytes = framed(sizes);
  for (const step of [1, 3, 4, 5, 6, 2999, 4096, bytes.length]) {
    const decoder = new FrameDecoder();
    const out: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += step) decoder.push(bytes.subarray(at, at + step), out);
    assert.deepEqual(
      out.map((m) => m.length),
      sizes,
      `${step}`,
    );
    for (const [i, message] of out.entries()) assert.ok(message.every((byte) => byte === i + 1));
    assert.ok(decoder.isEmpty);
    decoder.push(bytes.subarray(0, 2), out);
    assert.equal(decoder.isEmpty, false);
  }
});

void test('only the message that came in parts is copied', () => {
  const bytes = framed([10_000, 20_000, 30_000, 10_000]);
  const decoder = new FrameDecoder();
  const out: Uint8Array[] = [];
  const first = Buffer.from(Uint8Array.from(bytes.subarray(0, 12_000)).buffer);
  const second = Buffer.from(Uint8Array.from(bytes.subarray(12_000)).buffer);
  decoder.push(first, out);
  decoder.push(second, out);
  assert.deepEqual(
    out.map((m) => (m.buffer === first.buffer ? 'first' : m.buffer === second.buffer ? 'second' : 'copy')),
    ['first', 'copy', 'second', 'second'],
  );
});

void test('what no message may be is refused by its prefix alone', () => {
  const push = (text: string) => new FrameDecoder().push(Buffer.from(text, 'hex'), []);
  assert.throws(() => push('0100000000'), /compressed messages are not supported/);
  assert.throws(() => push('0001000001'), /larger than max \(16777217 vs\. 16777216\)/);
  assert.throws(() => push('00ffffffff'), /larger than max \(4294967295/);
  assert.doesNotThrow(() => push('0001000000'));
  assert.throws(
    () => encodeFrame(bytesType, { data: Buffer.alloc(16 << 20) }),
    /trying to send message larger than max/,
  );
});

void test('it stops at as many messages as are wanted', () => {
  const bytes = framed([0, 3, 0, 0, 7]);
  const decoder = new FrameDecoder();
  const out: Uint8Array[] = [];
  const at = decoder.push(bytes, out, 3);
  assert.equal(at, 18);
  assert.equal(decoder.push(bytes.subarray(at), out, 9), bytes.length - at);
  assert.deepEqual(
    out.map((m) => m.length),
    [0, 3, 0, 0, 7],
  );
});
