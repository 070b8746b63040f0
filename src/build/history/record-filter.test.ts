import assert from 'node:assert/strict';
import test from 'node:test';
import { formatTime, nowNs } from '../../base/index.ts';
import { BuildHistoryRecord } from '../../proto/control.pb.ts';
import { csvFields } from '../../base/index.ts';
import { recordFilter } from './record-filter.ts';
import { toTimestamp } from './wire-time.ts';

const MINUTE = 60_000_000_000n;
const HOUR = 60n * MINUTE;
const DAY_AGO = nowNs() - 24n * HOUR;

function record(ref: string, startedAt: bigint, took: bigint | undefined, attrs: [string, string][], message?: string) {
  return BuildHistoryRecord.fromPartial({
    Ref: ref,
    FrontendAttrs: new Map(attrs),
    CreatedAt: toTimestamp(startedAt),
    CompletedAt: took === undefined ? undefined : toTimestamp(startedAt + took),
    error: message === undefined ? undefined : { code: 1, message },
  });
}

const records = [
  record('a1', DAY_AGO, MINUTE, [], 'process: context canceled'),
  record('b2', DAY_AGO + HOUR, undefined, [['context', 'https://example.com/user/repo.git#main']]),
  record('a3', DAY_AGO + 2n * HOUR, 10n * MINUTE, [['vcs:source', 'mine']]),
  record('c4', DAY_AGO + 3n * HOUR, 2n * MINUTE, [['context', 'dir']], 'exit code 1'),
];

void test('filters of history', () => {
  const matching = (...filters: string[]): string =>
    records
      .filter(recordFilter(filters))
      .map(({ Ref }) => Ref)
      .join(' ');
  assert.equal(matching(), 'a1 b2 a3 c4');
  assert.equal(matching(''), 'a1 b2 a3 c4');
  assert.equal(matching('ref==a1'), 'a1');
  assert.equal(matching('ref~=^a,status==completed'), 'a3');
  assert.equal(matching('ref==a1', 'ref==b2'), 'a1 b2');
  assert.equal(matching('status==canceled'), 'a1');
  assert.equal(matching('status==running'), 'b2');
  assert.equal(matching('status==error'), 'c4');
  assert.equal(matching('repository==https://example.com/user/repo.git'), 'b2');
  assert.equal(matching('repository'), 'b2 a3');
  assert.equal(matching('duration>5m'), 'a3');
  assert.equal(matching('duration<=1m'), 'a1 b2');
  assert.equal(matching('startedAt<22h30m'), 'a1 b2');
  assert.equal(matching('startedAt>=22h30m,duration<5m'), 'c4');
  assert.equal(matching(`startedAt>=${formatTime(DAY_AGO + 2n * HOUR)}`), 'a3 c4');
  assert.equal(matching('completedAt>23h'), 'a3 c4');
  assert.throws(() => recordFilter(['ref=x']), /failed to parse history filters/);
  assert.throws(() => recordFilter(['startedAt>soon']), /invalid time soon/);
  assert.throws(() => recordFilter(['duration>1']), /invalid duration 1/);
  assert.throws(() => recordFilter(Array.from({ length: 65 }, () => 'ref')), /more than 64/);
});

void test('a field in quotes may hold commas', () => {
  assert.deepEqual(csvFields('a,"b,""c""",'), ['a', 'b,"c"', '']);
  assert.throws(() => csvFields('a,b"c'), /line 1, column 4: bare " in non-quoted field/);
  assert.throws(() => csvFields('"a'), /extraneous or missing " in quoted-field/);
  assert.throws(() => csvFields('"a"b'), /extraneous or missing " in quoted-field/);
});
