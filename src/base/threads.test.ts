import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { sleep } from './async.ts';
import { ThreadPool } from './threads.ts';

/** A file of jobs: `jobs` is the text of an object of them. */
function entryOf(t: TestContext, jobs: string, imports = ''): URL {
  const folder = mkdtempSync(join(tmpdir(), 'threads-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const entry = join(folder, 'jobs.mts');
  const serve = JSON.stringify(pathToFileURL(join(import.meta.dirname, 'threads.ts')));
  writeFileSync(entry, `import { serveJobs } from ${serve};\n${imports}\nserveJobs(${jobs});\n`);
  return pathToFileURL(entry);
}

test('a job that comes while an idle thread ends is run by another', async (t) => {
  const pool = new ThreadPool(entryOf(t, '{ double: (n) => n * 2 }'), { max: 1, idleMs: 1 });
  t.after(() => pool.close());
  for (let i = 0; i < 12; i++) {
    assert.equal(await pool.call('double', i), i * 2);
    // Around the moment at which the thread is told to end.
    await sleep(i % 4);
  }
});

test('of idle threads the last one stays longer', async (t) => {
  const jobs = '{ who: () => new Promise((resolve) => setTimeout(() => resolve(threadId), 20)) }';
  const entry = entryOf(t, jobs, "import { threadId } from 'node:worker_threads';");
  const pool = new ThreadPool(entry, { max: 2, idleMs: 10, lastIdleMs: 600_000 });
  t.after(() => pool.close());
  const both = (): Promise<number[]> => Promise.all([pool.call<number>('who', 0), pool.call<number>('who', 0)]);
  const first = await both();
  assert.equal(new Set(first).size, 2);
  await sleep(200);
  const second = await both();
  assert.equal(second.filter((id) => first.includes(id)).length, 1);
});

test('the last one does not stay when its heap has grown', async (t) => {
  const jobs = `{
    grow: () => void (globalThis.kept = Array.from({ length: 1_000_000 }, (_, i) => ({ i }))),
    who: () => threadId,
  }`;
  const entry = entryOf(t, jobs, "import { threadId } from 'node:worker_threads';");
  const pool = new ThreadPool(entry, { max: 1, idleMs: 10, lastIdleMs: 600_000 });
  t.after(() => pool.close());
  const first = await pool.call<number>('who', 0);
  await sleep(100);
  assert.equal(await pool.call<number>('who', 0), first);
  await pool.call('grow', 0);
  // Every call begins its idle time anew.
  for (let i = 0, last = first; last === first; i++) {
    assert.ok(i < 50, 'it stays');
    await sleep(100);
    last = await pool.call<number>('who', 0);
  }
});
