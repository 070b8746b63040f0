import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { sleep } from './async.ts';
import { ThreadPool } from './threads.ts';

test('a job that comes while an idle thread ends is run by another', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'threads-'));
  const entry = join(folder, 'double.mts');
  const serve = JSON.stringify(pathToFileURL(join(import.meta.dirname, 'threads.ts')));
  writeFileSync(entry, `import { serveJobs } from ${serve};\nserveJobs({ double: (n) => n * 2 });\n`);
  const pool = new ThreadPool(pathToFileURL(entry), { max: 1, idleMs: 1 });
  t.after(async () => {
    await pool.close();
    rmSync(folder, { recursive: true, force: true });
  });
  for (let i = 0; i < 12; i++) {
    assert.equal(await pool.call('double', i), i * 2);
    // Around the moment at which the thread is told to end.
    await sleep(i % 4);
  }
});
