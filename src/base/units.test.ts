import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatBytesShort, parseSize } from './byte-size.ts';
import { formatDuration, parseDuration } from './go-duration.ts';

const MINUTE = 60_000_000_000n;

void test("durations are read as by Go's time.ParseDuration", () => {
  assert.equal(parseDuration('1h30m'), 90n * MINUTE);
  assert.equal(parseDuration('1h2m3.5s'), 3_723_500_000_000n);
  assert.equal(parseDuration('-1.5s'), -1_500_000_000n);
  assert.equal(parseDuration('.25us'), 250n);
  assert.equal(parseDuration('0'), 0n);
  for (const text of ['', '1', 'h', '.s', '1h 2m', '1x', '9999999999h'])
    assert.equal(parseDuration(text), undefined, text);
});

void test("durations are written as by Go's Duration.String", () => {
  const texts: readonly (readonly [bigint, string])[] = [
    [0n, '0s'],
    [999n, '999ns'],
    [1_500n, '1.5µs'],
    [1_500_000n, '1.5ms'],
    [1_050_000_000n, '1.05s'],
    [MINUTE, '1m0s'],
    [3_723_500_000_000n, '1h2m3.5s'],
    [172_800_000_000_000n, '48h0m0s'],
    [-MINUTE, '-1m0s'],
  ];
  for (const [nanoseconds, text] of texts) {
    assert.equal(formatDuration(nanoseconds), text);
    assert.equal(parseDuration(text), nanoseconds);
  }
});

void test('sizes are read in binary units', () => {
  assert.equal(parseSize('1.5k'), 1536n);
  assert.equal(parseSize('512MB'), 512n * 2n ** 20n);
  assert.equal(parseSize('10 GiB'), 10n * 2n ** 30n);
  assert.equal(parseSize('12'), 12n);
  for (const text of ['', 'x', '-1', '1z', '99999999p']) assert.equal(parseSize(text), undefined, text);
});

void test('sizes are written in decimal units', () => {
  const sizes = [0n, 999n, 1234n, 12_290n, 5_000_000n, -1500n];
  assert.deepEqual(sizes.map(formatBytes), ['0B', '999B', '1.23kB', '12.29kB', '5.00MB', '-1.50kB']);
  assert.deepEqual(sizes.map(formatBytesShort), ['0B', '999B', '1.234kB', '12.29kB', '5MB', '-1.5kB']);
});
