import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import test from 'node:test';
import { Code } from '../base/index.ts';
import { Session, SessionRegistry } from './index.ts';

void test('a session is settled when its client has answered on it', async () => {
  const registry = new SessionRegistry();
  const session = new Session();
  const [ours, theirs] = duplexPair();
  const settled = registry.settle(session.id, new AbortController().signal);
  const metadata = new Map<string, string[]>();
  for (const [key, value] of session.metadata()) metadata.set(key, [...(metadata.get(key) ?? []), value]);
  let answered = false;
  theirs.once('data', () => (answered = true));
  const handled = registry.handle(metadata, ours);
  const running = session.run(() => Promise.resolve(theirs));
  await settled;
  assert.equal(answered, true);
  await registry.close();
  await Promise.all([handled, running]);
});

void test('a session that never comes is waited for until the patience or the signal ends', async () => {
  const registry = new SessionRegistry();
  await registry.settle('nobody', AbortSignal.abort());
  await registry.settle('nobody', new AbortController().signal);
  const late = AbortSignal.timeout(1);
  await assert.rejects(registry.get('nobody', { signal: late }), {
    code: Code.DeadlineExceeded,
    message: 'no active session for nobody: context deadline exceeded',
  });
  await assert.rejects(registry.get('nobody', { noWait: true }), {
    code: Code.NotFound,
    message: 'no active session for nobody',
  });
});
