import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { linuxKernel } from '../../host/index.ts';
import { openStorage } from '../../storage/index.ts';
import { cacheMountsOf, dropCacheMounts } from './cache-mounts.ts';

test('dropped cache mounts are empty for the next step, whatever they are based on', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs root');
  const root = mkdtempSync(join(tmpdir(), 'cache-mounts-'));
  const storage = await openStorage({ root, snapshotter: 'native', kernel: linuxKernel });
  t.after(async () => {
    await storage.close();
    rmSync(root, { recursive: true, force: true });
  });
  const { accessor } = storage;
  const base = await (await accessor.create(undefined, { retain: true })).commit();
  const mounts = cacheMountsOf(accessor);
  const open = async (on: typeof base | undefined): Promise<string> => {
    const request = { id: 'npm', base: on, sharing: 0, description: 'cache' } as const;
    const mount = await mounts.acquire(request, new AbortController().signal);
    await mount.release();
    return mount.ref.id;
  };
  const plain = await open(undefined);
  const based = await open(base);
  assert.notEqual(plain, based);
  assert.equal(await open(base), based);
  await dropCacheMounts(accessor, ['other']);
  assert.equal(await open(undefined), plain);
  await dropCacheMounts(accessor, ['npm']);
  assert.notEqual(await open(undefined), plain);
  assert.notEqual(await open(base), based);
  await base.release();
  assert.deepEqual(storage.leaks(), []);
});
