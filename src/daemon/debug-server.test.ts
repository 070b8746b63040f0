import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configureLog } from '../base/index.ts';
import { openDebugServer } from './debug-server.ts';

configureLog({ write: () => {} });

void test('numbers, profiles and the heap of a running daemon', async () => {
  let collected = 0;
  const server = await openDebugServer('127.0.0.1:0', () => void collected++);
  const get = async (path: string): Promise<{ status: number; text: string }> => {
    const response = await fetch(server.address.replace('tcp:', 'http:') + path);
    return { status: response.status, text: await response.text() };
  };
  try {
    const { memstats, pid } = JSON.parse((await get('/debug/vars')).text) as { memstats: { rss: number }; pid: number };
    assert.ok(memstats.rss > 0);
    assert.equal(pid, process.pid);
    assert.match(
      (await get('/metrics')).text,
      /^# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes \d+$/m,
    );
    const profile = JSON.parse((await get('/debug/pprof/profile?seconds=0.05')).text) as { nodes: unknown[] };
    assert.ok(profile.nodes.length > 0);
    assert.match((await get('/debug/pprof/heap')).text, /^\{"snapshot":/);
    await get('/debug/gc');
    assert.equal(collected, 1);
    assert.equal((await get('/debug/pprof/profile?seconds=many')).status, 400);
    assert.equal((await get('/etc/passwd')).status, 404);
    assert.match((await get('/')).text, /\/debug\/vars\n/);
  } finally {
    await server.close();
  }
  await assert.rejects(
    openDebugServer('nowhere', () => {}),
    /missing port in address/,
  );
});
