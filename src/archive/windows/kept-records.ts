/**
 * How the records of a Windows layer live with a file on Linux: one extended attribute, with what differs from the
 * defaults (docs/decisions/windows-layers.md). A byte for the version, then fields: a tag, a length in 16 bits, the value.
 */
import { invalidArgument } from '../../base/index.ts';
import type { ByteString } from '../byte-string.ts';
import type { FileRecords } from './records.ts';
import { parseSecurityDescriptor } from './security-descriptor.ts';

/** The first where it may be set, else the second. Neither is ever taken from a layer, an archive or a client. */
export const KEPT_RECORDS = ['trusted.buildkit.windows', 'user.buildkit.windows'] as const;

export interface KeptRecords extends Omit<FileRecords, 'creationTimeNs'> {
  /** Of a link: what it points at, where the link on Linux cannot say it (a drive, a volume). */
  readonly linkTarget: ByteString | undefined;
  /** Alternate data streams: what is in them, by name. */
  readonly streams: ReadonlyMap<ByteString, Uint8Array>;
}

/** Of all streams of a file together, names included. Where an attribute has less room, that is the limit. */
export const MAX_KEPT_STREAMS = 0xffff;

export const NOTHING_KEPT: KeptRecords = {
  attributes: undefined,
  descriptor: undefined,
  isMountPoint: false,
  extendedAttributes: new Map(),
  linkTarget: undefined,
  streams: new Map(),
};

const VERSION = 1;
const Tag = { Attributes: 1, Descriptor: 2, MountPoint: 3, LinkTarget: 4, ExtendedAttribute: 5, Stream: 6 } as const;

export function isKeptRecords(xattr: string): boolean {
  return (KEPT_RECORDS as readonly string[]).includes(xattr);
}

/** undefined: there is nothing to keep. */
export function encodeKeptRecords(kept: KeptRecords): Buffer | undefined {
  const parts: Buffer[] = [Buffer.from([VERSION])];
  const field = (tag: number, value: Uint8Array): void => {
    if (value.length > 0xffff) throw invalidArgument('records of a file are too long');
    parts.push(Buffer.from([tag, value.length & 0xff, value.length >> 8]), Buffer.from(value));
  };
  if (kept.attributes !== undefined) {
    const value = Buffer.alloc(4);
    value.writeUInt32LE(kept.attributes);
    field(Tag.Attributes, value);
  }
  if (kept.descriptor !== undefined) field(Tag.Descriptor, kept.descriptor);
  if (kept.isMountPoint) field(Tag.MountPoint, Buffer.alloc(0));
  if (kept.linkTarget !== undefined) field(Tag.LinkTarget, Buffer.from(kept.linkTarget, 'latin1'));
  for (const [name, value] of kept.extendedAttributes)
    field(Tag.ExtendedAttribute, Buffer.concat([Buffer.from([name.length]), Buffer.from(name, 'latin1'), value]));
  for (const [name, value] of kept.streams) {
    const length = Buffer.from([name.length & 0xff, name.length >> 8]);
    field(Tag.Stream, Buffer.concat([length, Buffer.from(name, 'latin1'), value]));
  }
  return parts.length === 1 ? undefined : Buffer.concat(parts);
}

/** Throws InvalidArgument for what {@link encodeKeptRecords} never wrote. */
export function decodeKeptRecords(bytes: Buffer): KeptRecords {
  const broken = (): Error => invalidArgument('records of a file are broken');
  if (bytes[0] !== VERSION) throw broken();
  const extendedAttributes = new Map<ByteString, Uint8Array>();
  const streams = new Map<ByteString, Uint8Array>();
  const kept: { -readonly [K in keyof KeptRecords]: KeptRecords[K] } = { ...NOTHING_KEPT, extendedAttributes, streams };
  for (let at = 1; at < bytes.length;) {
    if (at + 3 > bytes.length) throw broken();
    const length = bytes.readUInt16LE(at + 1);
    const value = bytes.subarray(at + 3, at + 3 + length);
    if (value.length !== length) throw broken();
    switch (bytes[at]) {
      case Tag.Attributes:
        if (length !== 4) throw broken();
        kept.attributes = value.readUInt32LE();
        break;
      case Tag.Descriptor:
        parseSecurityDescriptor(value);
        kept.descriptor = value;
        break;
      case Tag.MountPoint:
        kept.isMountPoint = true;
        break;
      case Tag.LinkTarget:
        kept.linkTarget = value.toString('latin1');
        break;
      case Tag.ExtendedAttribute: {
        const end = 1 + (value[0] ?? 0);
        if (end > length) throw broken();
        extendedAttributes.set(value.toString('latin1', 1, end), value.subarray(end));
        break;
      }
      case Tag.Stream: {
        if (length < 2) throw broken();
        const end = 2 + value.readUInt16LE();
        if (end > length) throw broken();
        streams.set(value.toString('latin1', 2, end), value.subarray(end));
        break;
      }
      default:
        throw broken();
    }
    at += 3 + length;
  }
  return kept;
}
