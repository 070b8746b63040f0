import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDoor } from './door.ts';

void test('guests reach the daemon, and the door waits for the last of them', async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'door-'));
  const inner = createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket));
  await new Promise<void>((resolve) => void inner.listen(join(scratch, 'inner'), resolve));
  try {
    const path = join(scratch, 'door');
    const door = await openDoor(path, join(scratch, 'inner'));
    const guest = connect(path);
    guest.write('hello');
    const [said] = (await new Promise((resolve) => guest.once('data', (d: Buffer) => resolve([d.toString()])))) as [
      string,
    ];
    assert.equal(said, 'hello');
    assert.equal(door.guests, 1);
    let closed = false;
    const closing = door.close().then(() => (closed = true));
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(closed, false);
    assert.equal(existsSync(path), false);
    guest.resume();
    guest.end();
    await closing;
    assert.equal(door.guests, 0);
  } finally {
    inner.close();
    rmSync(scratch, { recursive: true });
  }
});
