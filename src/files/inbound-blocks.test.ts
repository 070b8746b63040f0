import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InboundBlocks } from './inbound-blocks.ts';
import { packetsOf } from './packet-codec.ts';
import type { PacketBlock } from './packet-codec.ts';

const never = (): boolean => false;

function numbered(count: number, size: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => new Uint8Array(size).fill(i % 251));
}

/** A thread that takes its time: a block is looked at when it is told to, not when it comes. */
class SlowThread {
  readonly waiting: PacketBlock[] = [];
  readonly seen: Array<{ first: number; size: number }> = [];
  readonly blocks: InboundBlocks;
  most = 0;

  constructor() {
    this.blocks = new InboundBlocks((block) => {
      this.waiting.push(block);
      this.most = Math.max(this.most, this.waiting.length);
    });
  }

  work(): boolean {
    const block = this.waiting.shift();
    if (block === undefined) return false;
    for (const packet of packetsOf(block)) this.seen.push({ first: packet[0] as number, size: packet.length });
    this.blocks.taken();
    return true;
  }

  async finish(): Promise<void> {
    for (let idle = 0; idle < 20;) {
      idle = this.work() ? 0 : idle + 1;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

test('packets come in order, whatever their size, and wait for a thread that is behind', async () => {
  const thread = new SlowThread();
  // The largest is larger than a piece of the shared memory.
  const packets = [...numbered(300, 32_000), ...numbered(2, 900_000), ...numbered(20_000, 30), ...numbered(5, 500_000)];
  let done = false;
  const put = (async () => {
    for (let at = 0; at < packets.length; at += 50) await thread.blocks.put(packets.slice(at, at + 50), never);
    done = true;
  })();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(done, false, 'more than the shared memory holds has to wait');
  await thread.finish();
  await put;
  await thread.finish();
  assert.deepEqual(
    thread.seen,
    packets.map((packet) => ({ first: packet[0], size: packet.length })),
  );
  assert.ok(thread.most <= 8);
  assert.ok(thread.blocks.isWorkedOff);
});

test('a thread that waits gets a single packet without being asked, and the last ones at the end', async () => {
  const thread = new SlowThread();
  await thread.blocks.put(numbered(1, 10), never);
  assert.equal(thread.waiting.length, 1);
  await thread.blocks.put(numbered(2, 10), never);
  thread.blocks.end();
  await thread.finish();
  assert.equal(thread.seen.length, 3);
});

test('nobody waits for a thread that is gone', async () => {
  const thread = new SlowThread();
  let over = false;
  const put = thread.blocks.put(numbered(200, 32_000), () => over);
  await new Promise((resolve) => setTimeout(resolve, 5));
  over = true;
  thread.blocks.close();
  await put;
});
