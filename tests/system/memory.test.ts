/** What the daemon's memory is made of, after few builds and after many. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

/** Enough that what runs in a build is compiled, and optimized, once for all. */
const FEW = 15;
const MORE = 30;
const MB = 1 << 20;

interface Variables {
  readonly memstats: { readonly heapUsed: number };
  readonly heap: { readonly heap_size_limit: number };
}

void describe('memory of the daemon', { skip: cannotRun, timeout: 180_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let built = 0;

  before(async () => {
    scratch = await makeScratch();
    daemon = await Daemon.start(scratch.folder, '--debugaddr', `unix://${join(scratch.folder, 'debug')}`);
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
  });

  const page = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const asked = request({ socketPath: join(scratch.folder, 'debug'), path }, (response) => {
        text(response).then(resolve, reject);
      });
      asked.on('error', reject).end();
    });

  const variables = async (): Promise<Variables> => JSON.parse(await page('/debug/vars')) as Variables;

  const build = async (count: number): Promise<void> => {
    for (const end = built + count; built < end; built++) {
      const files = { Dockerfile: 'FROM scratch\nCOPY file /\n', file: `${built}\n` };
      await daemon.ask(...writeContext(join(scratch.folder, 'context'), files));
    }
  };

  /** Bytes of objects that something still holds. */
  const held = async (): Promise<number> => {
    // What the history has not written yet, which asking for it makes it do, is not held by the builds.
    await daemon.ask('debug', 'histories');
    // The first one finds what hangs on others that have finalizers.
    await page('/debug/gc');
    await page('/debug/gc');
    return (await variables()).memstats.heapUsed;
  };

  void test('what is young has little room', async () => {
    // Node's own limit of the rest is 4 GB on any machine that has as much or more; of what is young it would be 192 MB.
    const { heap_size_limit: limit } = (await variables()).heap;
    assert.ok(limit % (1024 * MB) <= 16 * MB, `${limit / MB} MB`);
  });

  void test('many builds hold nothing that few do not', async () => {
    await build(FEW);
    const afterFew = await held();
    await build(MORE);
    const more = (await held()) - afterFew;
    assert.ok(more < 3 * MB, `${MORE} builds hold ${more / MB} MB`);
  });
});
