import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Deferred } from '../../base/index.ts';
import { UnwrittenRecords } from './unwritten-records.ts';

void it('writes records when nothing runs, one after another', async () => {
  const written: string[] = [];
  let busy = true;
  const last = new Deferred();
  const records = new UnwrittenRecords(() => busy);
  await records.add('one', async () => void written.push('one'));
  await records.add('two', async () => {
    written.push('two');
    last.resolve();
  });
  records.idle();
  assert.deepEqual(written, []);
  busy = false;
  records.idle();
  await last.promise;
  assert.deepEqual(written, ['one', 'two']);
});

void it('does not let a record wait for ever for builds that run', async () => {
  const done = new Deferred();
  await new UnwrittenRecords(() => true).add('one', async () => done.resolve());
  // The timer alone keeps nothing alive.
  const alive = setInterval(() => {}, 1000);
  await done.promise;
  clearInterval(alive);
});

void it('writes for whoever asks, and once', async () => {
  const written: string[] = [];
  const records = new UnwrittenRecords(() => true);
  for (const ref of ['one', 'two', 'three']) await records.add(ref, async () => void written.push(ref));
  await Promise.all([records.settle('two'), records.settle('two'), records.settle('unknown')]);
  assert.deepEqual(written, ['two']);
  await records.settle();
  await records.settle();
  assert.deepEqual(written, ['two', 'one', 'three']);
});

void it('keeps a bounded number of them', async () => {
  let written = 0;
  const records = new UnwrittenRecords(() => true);
  for (let i = 0; i < 100; i++) await records.add(`${i}`, async () => void written++);
  assert.equal(written, 36);
  await records.settle();
  assert.equal(written, 100);
});
