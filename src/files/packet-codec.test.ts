import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromByteString, toByteString } from '../archive/index.ts';
import { Packet } from '../proto/fsutil_wire.pb.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';
import { decodePacket, packetsOf, PacketWriter } from './packet-codec.ts';

let seed = 1;
function random(below: number): number {
  seed = (seed * 1103515245 + 12345) % 0x80000000;
  return seed % below;
}

function randomStat(): Stat {
  const numbers = [0n, 1n, 127n, 128n, 70000n, 1n << 40n, (1n << 53n) + 1n, (1n << 63n) - 1n, -1n, -1_000_000_007n];
  const number = (): bigint => numbers[random(numbers.length)] as bigint;
  const xattrs = new Map<string, Uint8Array>();
  for (let i = random(3); i > 0; i--)
    xattrs.set(`user.${'ä'.repeat(random(90))}${i}`, new Uint8Array(random(400) + 1).fill(i));
  return {
    path: `${'p'.repeat(random(200))}ü`,
    mode: random(2) * 0x80000000 + random(4096),
    uid: random(3) * 0x70000000,
    gid: random(200),
    size: number(),
    modTime: number(),
    linkname: random(2) === 0 ? '' : 'lünk',
    devmajor: number(),
    devminor: number(),
    xattrs,
  };
}

test('packets are those of the generated code, both ways', () => {
  for (let i = 0; i < 500; i++) {
    const stat = randomStat();
    const out = new PacketWriter();
    out.stat({ ...stat, path: toByteString(stat.path), linkname: toByteString(stat.linkname) });
    const [mine] = packetsOf(out.take()) as [Uint8Array];
    assert.deepEqual(Buffer.from(mine), Buffer.from(Packet.encode(Packet.fromPartial({ stat })).finish()));
    const read = decodePacket(Buffer.from(mine));
    const text = {
      ...(read.stat as Stat),
      path: fromByteString(read.stat?.path ?? ''),
      linkname: fromByteString(read.stat?.linkname ?? ''),
    };
    assert.deepEqual(text, stat);
  }
  const out = new PacketWriter(4);
  out.stat(undefined);
  out.request(0);
  out.request(300);
  out.data(0xffffffff, Buffer.alloc(40_000, 'd'));
  out.data(1, new Uint8Array(0));
  out.fin();
  out.error('öh');
  const decoded = packetsOf(out.take()).map((p) => [Packet.decode(p), decodePacket(Buffer.from(p))] as const);
  for (const [theirs, mine] of decoded) {
    assert.equal(mine.type, theirs.type);
    assert.equal(mine.id, theirs.ID);
    assert.deepEqual(Buffer.from(mine.data ?? []), Buffer.from(theirs.data));
  }
});

test('malformed packets are refused', () => {
  for (const bytes of [
    [18, 5, 1],
    [8],
    [26],
    [255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
    [18, 3, 40, 128, 128],
    [34, 255, 255, 255, 255, 15],
  ]) {
    assert.throws(() => decodePacket(Buffer.from(bytes)), /malformed packet/, bytes.join());
  }
});
