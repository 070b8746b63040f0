import assert from 'node:assert/strict';
import test from 'node:test';
import { Code } from '../base/index.ts';
import type { ServerCall } from '../rpc/index.ts';
import { GatewayForwarder } from './forwarder.ts';
import type { GatewaySession } from './gateway-session.ts';

function callFor(buildId: string): ServerCall {
  const signal = new AbortController().signal;
  const metadata = new Map([['buildkit-controlapi-buildid', [buildId]]]);
  return { path: '', metadata, signal, cancel() {}, sendHeader() {}, setTrailer() {} } as ServerCall;
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

for (const early of [true, false]) {
  void test(`a call of a refused build does not wait for it, ${early ? 'before' : 'after'} the refusal`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const forwarder = new GatewayForwarder();
    const calls = early ? [forwarder.find(callFor('x'))] : [];
    forwarder.refuse('x');
    if (!early) calls.push(forwarder.find(callFor('x')));
    const refused = assert.rejects(calls[0], { code: Code.NotFound, message: 'no such job x' });
    await turn();
    t.mock.timers.tick(100);
    await refused;
  });
}

void test('a build of the same id that comes after a refusal is found', async () => {
  const forwarder = new GatewayForwarder();
  const session = {} as GatewaySession;
  forwarder.refuse('x');
  const unregister = forwarder.register('x', session);
  assert.equal(await forwarder.find(callFor('x')), session);
  unregister();
});
