/**
 * fsutil's Packet and Stat (proto/fsutil_wire.proto) by hand: a transfer is millions of them. Texts are byte strings, so names
 * that are not UTF-8 pass unharmed. Equal in bytes to the generated encoder, which the tests hold it to.
 */
import { invalidArgument } from '../base/index.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';

export const PacketType = { Stat: 0, Req: 1, Data: 2, Fin: 3, Err: 4 } as const;

export interface Packet {
  type: number;
  stat: Stat | undefined;
  id: number;
  data: Uint8Array | undefined;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

const SMALL = 64 * 1024;

/** Grows as needed; `take` gives what was written and begins anew. */
export class PacketWriter {
  #buffer: Buffer;
  #at = 0;
  #ends: number[] = [];

  constructor(size = SMALL) {
    this.#buffer = Buffer.allocUnsafeSlow(size);
  }

  get length(): number {
    return this.#at;
  }

  get count(): number {
    return this.#ends.length;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 127) {
      this.#buffer[this.#at++] = (rest & 127) | 128;
      rest = rest > 0x7fffffff ? Math.floor(rest / 128) : rest >>> 7;
    }
    this.#buffer[this.#at++] = rest;
  }

  #varint64(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    if (rest <= BigInt(Number.MAX_SAFE_INTEGER)) {
      let small = Number(rest);
      while (small > 127) {
        this.#buffer[this.#at++] = (small % 128) | 128;
        small = Math.floor(small / 128);
      }
      this.#buffer[this.#at++] = small;
      return;
    }
    while (rest > 127n) {
      this.#buffer[this.#at++] = Number(rest & 127n) | 128;
      rest >>= 7n;
    }
    this.#buffer[this.#at++] = Number(rest);
  }

  #text(field: number, text: string): void {
    if (text === '') return;
    this.#varint((field << 3) | BYTES);
    this.#varint(text.length);
    this.#at += this.#buffer.write(text, this.#at, 'latin1');
  }

  #number(field: number, value: number): void {
    if (value === 0) return;
    this.#varint(field << 3);
    this.#varint(value);
  }

  #long(field: number, value: bigint): void {
    if (value === 0n) return;
    this.#varint(field << 3);
    this.#varint64(value);
  }

  #bytes(field: number, data: Uint8Array): void {
    this.#varint((field << 3) | BYTES);
    this.#varint(data.length);
    this.#buffer.set(data, this.#at);
    this.#at += data.length;
  }

  #end(): void {
    this.#ends.push(this.#at);
  }

  stat(stat: Stat | undefined): void {
    if (stat === undefined) {
      this.#end();
      return;
    }
    // Type 0 is the default and not written.
    const body = new PacketWriter(0);
    body.#room(statBound(stat));
    body.#stat(stat);
    this.#room(body.#at + 16);
    this.#bytes(2, body.#buffer.subarray(0, body.#at));
    this.#end();
  }

  #stat(stat: Stat): void {
    this.#text(1, stat.path);
    this.#number(2, stat.mode);
    this.#number(3, stat.uid);
    this.#number(4, stat.gid);
    this.#long(5, stat.size);
    this.#long(6, stat.modTime);
    this.#text(7, stat.linkname);
    this.#long(8, stat.devmajor);
    this.#long(9, stat.devminor);
    for (const [name, value] of stat.xattrs) {
      const key = Buffer.from(name);
      const size = 2 + varintSize(key.length) + key.length + varintSize(value.length) + value.length;
      this.#varint((10 << 3) | BYTES);
      this.#varint(size);
      this.#bytes(1, key);
      this.#bytes(2, value);
    }
  }

  /** A stat alone, without a packet around it. */
  static encodeStat(stat: Stat): Buffer {
    const body = new PacketWriter(0);
    body.#room(statBound(stat));
    body.#stat(stat);
    return body.#buffer.subarray(0, body.#at);
  }

  request(id: number): void {
    this.#room(16);
    this.#number(1, PacketType.Req);
    this.#number(3, id);
    this.#end();
  }

  /** Without data: the end of the file. */
  data(id: number, data: Uint8Array): void {
    this.#room(data.length + 24);
    this.#number(1, PacketType.Data);
    this.#number(3, id);
    if (data.length > 0) this.#bytes(4, data);
    this.#end();
  }

  fin(): void {
    this.#room(8);
    this.#number(1, PacketType.Fin);
    this.#end();
  }

  error(text: string): void {
    const data = Buffer.from(text);
    this.#room(data.length + 16);
    this.#number(1, PacketType.Err);
    if (data.length > 0) this.#bytes(4, data);
    this.#end();
  }

  take(): PacketBlock {
    const block = { bytes: this.#buffer.subarray(0, this.#at), ends: Uint32Array.from(this.#ends) };
    // The next block is likely to be of the same size.
    this.#buffer = Buffer.allocUnsafeSlow(this.#at > SMALL ? this.#buffer.length : SMALL);
    this.#at = 0;
    this.#ends = [];
    return block;
  }
}

function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

function statBound(stat: Stat): number {
  let bound = 96 + stat.path.length + stat.linkname.length;
  for (const [name, value] of stat.xattrs) bound += 32 + name.length * 3 + value.length;
  return bound;
}

/** Packets one behind the other, as they go between threads: one buffer that is transferred, not a message for each. */
export interface PacketBlock {
  readonly bytes: Uint8Array;
  /** Where each packet ends. */
  readonly ends: Uint32Array;
}

export function packetsOf(block: PacketBlock): Uint8Array[] {
  let start = 0;
  return Array.from(block.ends, (end) => {
    const packet = block.bytes.subarray(start, end);
    start = end;
    return packet;
  });
}

/** Copies: the buffers that packets arrive in belong to the connection. */
export function joinPackets(packets: readonly Uint8Array[]): PacketBlock {
  let size = 0;
  for (const packet of packets) size += packet.length;
  const bytes = new Uint8Array(new ArrayBuffer(size));
  const ends = new Uint32Array(packets.length);
  let at = 0;
  packets.forEach((packet, i) => {
    bytes.set(packet, at);
    at += packet.length;
    ends[i] = at;
  });
  return { bytes, ends };
}

class Reader {
  readonly #bytes: Buffer;
  at: number;
  readonly end: number;

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes;
    this.at = at;
    this.end = end;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      if (this.at >= this.end) throw malformed();
      const byte = this.#bytes[this.at++] as number;
      // Bits above 53 are lost: what reads a number here checks its range or takes 32 bits of it.
      if (i < 7) value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) return value;
    }
    throw malformed();
  }

  uint32(): number {
    return this.varint() % 0x100000000;
  }

  int64(): bigint {
    const start = this.at;
    while (this.at < this.end && (this.#bytes[this.at] as number) >= 128) this.at++;
    const last = this.at++;
    if (last >= this.end || last - start >= 10) throw malformed();
    let small = 0;
    if (last - start < 7) {
      for (let i = last; i >= start; i--) small = small * 128 + ((this.#bytes[i] as number) & 127);
      return BigInt(small);
    }
    let value = 0n;
    for (let i = last; i >= start; i--) value = (value << 7n) | BigInt((this.#bytes[i] as number) & 127);
    return BigInt.asIntN(64, value);
  }

  /** The range of a length-delimited field; moves behind it. */
  range(): [start: number, end: number] {
    const length = this.varint();
    const start = this.at;
    if (length > this.end - start) throw malformed();
    this.at = start + length;
    return [start, this.at];
  }

  text(): string {
    const [start, end] = this.range();
    return this.#bytes.toString('latin1', start, end);
  }

  bytes(): Buffer {
    const [start, end] = this.range();
    return this.#bytes.subarray(start, end);
  }

  sub(): Reader {
    const [start, end] = this.range();
    return new Reader(this.#bytes, start, end);
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.varint();
    else if (wireType === FIXED64) this.at += 8;
    else if (wireType === BYTES) this.range();
    else if (wireType === FIXED32) this.at += 4;
    else throw malformed();
    if (this.at > this.end) throw malformed();
  }
}

function malformed(): Error {
  return invalidArgument('malformed packet');
}

function decodeStat(reader: Reader): Stat {
  const stat: Stat = {
    path: '',
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0n,
    modTime: 0n,
    linkname: '',
    devmajor: 0n,
    devminor: 0n,
    xattrs: new Map(),
  };
  while (reader.at < reader.end) {
    const tag = reader.varint();
    if (tag === 10) stat.path = reader.text();
    else if (tag === 16) stat.mode = reader.uint32();
    else if (tag === 24) stat.uid = reader.uint32();
    else if (tag === 32) stat.gid = reader.uint32();
    else if (tag === 40) stat.size = reader.int64();
    else if (tag === 48) stat.modTime = reader.int64();
    else if (tag === 58) stat.linkname = reader.text();
    else if (tag === 64) stat.devmajor = reader.int64();
    else if (tag === 72) stat.devminor = reader.int64();
    else if (tag === 82) {
      const entry = reader.sub();
      let name = '';
      let value: Uint8Array = new Uint8Array(0);
      while (entry.at < entry.end) {
        const inner = entry.varint();
        if (inner === 10) name = entry.bytes().toString('utf8');
        else if (inner === 18) value = Uint8Array.from(entry.bytes());
        else entry.skip(inner & 7);
      }
      stat.xattrs.set(name, value);
    } else reader.skip(tag & 7);
  }
  return stat;
}

/** Throws InvalidArgument. `data` is a view of `bytes`. */
export function decodePacket(bytes: Buffer, start = 0, end = bytes.length): Packet {
  const reader = new Reader(bytes, start, end);
  const packet: Packet = { type: 0, stat: undefined, id: 0, data: undefined };
  while (reader.at < reader.end) {
    const tag = reader.varint();
    if (tag === 8) packet.type = reader.varint();
    else if (tag === 18) packet.stat = decodeStat(reader.sub());
    else if (tag === 24) packet.id = reader.uint32();
    else if (tag === 34) packet.data = reader.bytes();
    else reader.skip(tag & 7);
  }
  return packet;
}
