import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BytesDecoder } from './bytes-decoder.ts';
import { encodeFrame, PREFIX } from './framing.ts';
import { MAX_MESSAGE } from './limits.ts';
import { bytesType } from './raw.ts';

const body = (size: number, mark: number): Buffer => Buffer.alloc(size, mark);

/** A message of these bytes, whatever they are. */
function framed(...message: number[]): Buffer {
  const prefix = Buffer.alloc(PREFIX);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, Buffer.from(message)]);
}

function read(bytes: Uint8Array, step: number): { data: Buffer; parts: Uint8Array[]; decoder: BytesDecoder } {
  const decoder = new BytesDecoder();
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += step) {
    const chunk = bytes.subarray(at, at + step);
    let from = 0;
    // No more than one at a time: what is left comes again.
    while (from < chunk.length) from += decoder.push(chunk.subarray(from), parts, parts.length + 1);
  }
  return { data: Buffer.concat(parts), parts, decoder };
}

void test('the bytes are the same however they were cut, and what is not one of them is told', () => {
  const sizes = [0, 1, 127, 128, 16_383, 16_384, 70_000, 3 << 20, 0, 2];
  const frames = sizes.flatMap((size, i) => encodeFrame(bytesType, { data: body(size, i + 1) }));
  frames.push(...encodeFrame(bytesType, { data: body(3, 40), more: [body(4, 41), body(0, 0), body(200, 42)] }));
  const bytes = Buffer.concat(frames);
  const wanted = Buffer.concat([...sizes.map((s, i) => body(s, i + 1)), body(3, 40), body(4, 41), body(200, 42)]);
  for (const step of [7, 4096, 65_536, bytes.length]) {
    const { data, decoder } = read(bytes, step);
    assert.ok(data.equals(wanted), `${step}`);
    assert.ok(decoder.isEmpty);
    assert.equal(decoder.takeOverhead(), bytes.length - wanted.length);
    assert.equal(decoder.takeOverhead(), 0);
  }
});

void test('a body is handed out as it comes, without copies', () => {
  const bytes = Buffer.concat(encodeFrame(bytesType, { data: body(1000, 1) }));
  const decoder = new BytesDecoder();
  const parts: Uint8Array[] = [];
  decoder.push(bytes.subarray(0, 500), parts);
  assert.equal(parts[0].length, 500 - (bytes.length - 1000));
  assert.equal(parts[0].buffer, bytes.buffer);
  assert.equal(decoder.isEmpty, false);
});

void test('messages of other forms are read as protobuf reads them', () => {
  const cases: [message: number[], data: string][] = [
    [[0x10, 1], ''],
    [[0x0a, 0], ''],
    [[0x10, 1, 0x0a, 2, 65, 66], 'AB'],
    [[0x0a, 1, 65, 0x0a, 2, 66, 67], 'BC'],
    [[0x0a, 0x81, 0, 65], 'A'],
    [[0x0a, 0x81, 0x80, 0x80, 0x80, 0, 65], 'A'],
    [[0x0a, 1, 65, 0x10, 1], 'A'],
    [[0x12, 3, 1, 2, 3], ''],
  ];
  const after = Buffer.concat(encodeFrame(bytesType, { data: Buffer.from('.') }));
  for (const [message, data] of cases) {
    for (const step of [1, 4, 100]) {
      const bytes = Buffer.concat([framed(...message), after]);
      const seen = read(bytes, step);
      assert.equal(seen.data.toString(), `${data}.`, `${message.join()}`);
      assert.equal(seen.decoder.takeOverhead(), bytes.length - data.length - 1);
      assert.ok(seen.decoder.isEmpty);
    }
  }
});

void test('what is no message is refused', () => {
  const bad = [
    [0x0a],
    [0x0a, 5],
    [0x0a, 0x80],
    [0x0a, 0xff, 0xff],
    [0x0a, 5, 1],
    [0x0b, 1],
    [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  ];
  for (const message of bad)
    for (const step of [1, 100]) assert.throws(() => read(framed(...message), step), `${message.join()}`);
  const large = Buffer.alloc(PREFIX);
  large.writeUInt32BE(MAX_MESSAGE + 1, 1);
  assert.throws(() => read(large, 1), /larger than max/);
  assert.throws(() => read(Buffer.from([1, 0, 0, 0, 1, 0]), 6), /compressed/);
});
