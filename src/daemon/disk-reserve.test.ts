import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BuildError, Code } from '../base/index.ts';
import { DiskReserve, explainFullDisk } from './disk-reserve.ts';

void test('room is kept aside, once', async () => {
  const root = mkdtempSync(join(tmpdir(), 'reserve-'));
  try {
    const path = join(root, 'reserve');
    const reserve = new DiskReserve(root, path);
    await Promise.all([reserve.takeBack(), reserve.takeBack()]);
    const { size } = statSync(path);
    assert.ok(size > 0 && size <= 8 << 20, String(size));
    // There is room: it stays where it is.
    assert.equal(await reserve.during(async () => statSync(path).size), size);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

void test('only failures for want of room are explained', async () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  const error = await explainFullDisk(full, tmpdir(), async () => 98_100_000);
  assert.equal(error.code, Code.ResourceExhausted);
  assert.match(
    error.message,
    /^write: no space left on device \([\d.]+\w+ of [\d.]+\w+ are free on the disk of .*"buildctl prune --all" would free 98\.10MB\)$/,
  );
  const database = Object.assign(new Error('database or disk is full'), { code: 'ERR_SQLITE_ERROR', errcode: 13 });
  assert.match((await explainFullDisk(database, tmpdir())).message, /^database or disk is full \([^"]*\)$/);
  const other = new BuildError(Code.ResourceExhausted, 'cannot allocate memory');
  assert.equal(await explainFullDisk(other, tmpdir()), other);
});
