/** The packets that all of OpenPGP is made of. */
import { ByteReader } from './byte-reader.ts';
import { structural, unsupported } from './failure.ts';

export const Tag = {
  signature: 2,
  secretKey: 5,
  publicKey: 6,
  secretSubkey: 7,
  userId: 13,
  publicSubkey: 14,
  userAttribute: 17,
} as const;

export interface Packet {
  readonly tag: number;
  readonly body: Buffer;
}

function newLength(reader: ByteReader): number {
  const first = reader.number(1);
  if (first < 192) return first;
  if (first < 224) return ((first - 192) << 8) + reader.number(1) + 192;
  if (first === 255) return reader.number(4);
  throw unsupported('packet in parts');
}

function oldLength(reader: ByteReader, kind: number): number {
  return kind === 3 ? reader.left : reader.number(([1, 2, 4] as const)[kind]);
}

export function* readPackets(bytes: Uint8Array): Generator<Packet> {
  const reader = new ByteReader(bytes);
  while (reader.left > 0) {
    const head = reader.number(1);
    if ((head & 0x80) === 0) throw structural('tag byte does not have MSB set');
    const isNew = (head & 0x40) !== 0;
    const tag = isNew ? head & 0x3f : (head & 0x3f) >> 2;
    const length = isNew ? newLength(reader) : oldLength(reader, head & 3);
    yield { tag, body: reader.take(length) };
  }
}
