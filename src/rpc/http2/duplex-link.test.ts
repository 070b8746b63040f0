import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { DuplexLink } from './duplex-link.ts';
import { FLUSH_PATIENCE_MS } from './limits.ts';
import { tick } from './wire-by-hand.ts';

/** A socket that sends a write when told to. */
class Slow extends Duplex {
  #send: (() => void) | undefined;

  override _read(): void {}

  override _write(_chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    this.#send = done;
  }

  async send(): Promise<void> {
    this.#send?.();
    await tick();
  }
}

interface Ended {
  readonly slow: Slow;
  readonly closed: Promise<Error | undefined>;
}

/** A link that has three writes to send, and was ended. */
function ended(): Ended {
  const slow = new Slow();
  const link = new DuplexLink(slow);
  const closed = new Promise<Error | undefined>((resolve) =>
    link.start({ data() {}, drain() {}, end() {}, closed: resolve }),
  );
  for (let i = 0; i < 3; i++) link.write([Buffer.alloc(1000)]);
  assert.equal(link.unsent, 3000);
  link.end();
  assert.ok(link.write([Buffer.alloc(1)]), 'nothing is taken any more');
  return { slow, closed };
}

void test('last words have time as long as some of them leave', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { slow, closed } = ended();
  for (let i = 0; i < 2; i++) {
    await slow.send();
    t.mock.timers.tick(FLUSH_PATIENCE_MS);
    assert.equal(slow.destroyed, false);
  }
  await slow.send();
  assert.equal(await closed, undefined);
  assert.equal(slow.writableFinished, true);
});

void test('a peer that reads nothing of them is left', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { slow, closed } = ended();
  await slow.send();
  t.mock.timers.tick(FLUSH_PATIENCE_MS);
  t.mock.timers.tick(FLUSH_PATIENCE_MS);
  assert.equal(await closed, undefined);
  assert.equal(slow.writableFinished, false);
});
