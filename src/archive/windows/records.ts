/**
 * What the PAX records of a Windows layer say of a file (github.com/Microsoft/go-winio/backuptar). Deliberately absent: times of
 * access and change, which a tar has fields for.
 */
import { invalidArgument } from '../../base/index.ts';
import type { ByteString } from '../byte-string.ts';
import { parsePaxTime } from '../pax.ts';
import { encodeSecurityDescriptor, MAX_DESCRIPTOR, parseSecurityDescriptor } from './security-descriptor.ts';
import { parseSddl } from './sddl.ts';

export const WindowsRecord = {
  Attributes: 'MSWINDOWS.fileattr',
  RawDescriptor: 'MSWINDOWS.rawsd',
  /** As SDDL: old layers have it. */
  Descriptor: 'MSWINDOWS.sd',
  MountPoint: 'MSWINDOWS.mountpoint',
  ExtendedAttribute: 'MSWINDOWS.xattr.',
  CreationTime: 'LIBARCHIVE.creationtime',
} as const;

/** FILE_ATTRIBUTE_* (MS-FSCC 2.6). */
export const FileAttribute = {
  ReadOnly: 0x1,
  Hidden: 0x2,
  System: 0x4,
  Directory: 0x10,
  Archive: 0x20,
  Normal: 0x80,
  ReparsePoint: 0x400,
} as const;

export interface FileRecords {
  readonly attributes: number | undefined;
  /** Self-relative, as it was; it parses. Not to be written to: files share it. */
  readonly descriptor: Uint8Array | undefined;
  readonly creationTimeNs: bigint | undefined;
  /** Of a link: it is a mount point (a junction), no symbolic link. */
  readonly isMountPoint: boolean;
  /** Values by name, a byte string. */
  readonly extendedAttributes: ReadonlyMap<ByteString, Uint8Array>;
}

const PREFIX = 'MSWINDOWS.';
const SECOND = 1_000_000_000n;
const MAX_BASE64 = Math.ceil(MAX_DESCRIPTOR / 3) * 4;
/** In all, as NTFS has it. */
const MAX_EXTENDED = 0xffff;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const NONE: FileRecords = {
  attributes: undefined,
  descriptor: undefined,
  creationTimeNs: undefined,
  isMountPoint: false,
  extendedAttributes: new Map(),
};

export function hasWindowsRecords(pax: ReadonlyMap<ByteString, ByteString> | undefined): boolean {
  if (pax !== undefined) for (const key of pax.keys()) if (key.startsWith(PREFIX)) return true;
  return false;
}

/** Throws InvalidArgument, with the record's key, for one that is too long, no number, or no security descriptor. */
export function readFileRecords(pax: ReadonlyMap<ByteString, ByteString> | undefined): FileRecords {
  if (pax === undefined) return NONE;
  let { attributes, descriptor, creationTimeNs, isMountPoint } = NONE;
  const extendedAttributes = new Map<ByteString, Uint8Array>();
  let extended = 0;
  for (const [key, value] of pax) {
    if (key === WindowsRecord.Attributes) attributes = readAttributes(value);
    else if (key === WindowsRecord.RawDescriptor) descriptor = readDescriptor(value);
    else if (key === WindowsRecord.Descriptor) {
      if (!pax.has(WindowsRecord.RawDescriptor)) descriptor = readSddl(value);
    } else if (key === WindowsRecord.MountPoint) isMountPoint = readFlag(value);
    else if (key === WindowsRecord.CreationTime) creationTimeNs = readTime(value);
    else if (key.startsWith(WindowsRecord.ExtendedAttribute)) {
      const bytes = readBase64(key, value);
      const name = key.slice(WindowsRecord.ExtendedAttribute.length);
      extended += name.length + bytes.length;
      if (name === '' || name.length > 254 || extended > MAX_EXTENDED) throw bad(key, 'is too long');
      extendedAttributes.set(name, bytes);
    }
  }
  return { attributes, descriptor, creationTimeNs, isMountPoint, extendedAttributes };
}

function bad(key: string, what: string): Error {
  return invalidArgument(`${key} ${what}`);
}

function readAttributes(value: ByteString): number {
  if (value.length > 10) throw bad(WindowsRecord.Attributes, 'is too long');
  if (!/^[0-9]+$/.test(value) || Number(value) > 0xffffffff)
    throw bad(WindowsRecord.Attributes, `is no decimal number of 32 bits: ${JSON.stringify(value)}`);
  return Number(value);
}

function readBase64(key: string, value: ByteString): Buffer {
  if (value.length > MAX_BASE64) throw bad(key, 'is too long');
  // Go's reader passes over line ends.
  const text = value.replace(/[\r\n]/g, '');
  if (!BASE64.test(text)) throw bad(key, 'is no base64');
  return Buffer.from(text, 'base64');
}

/** A layer has a hundred thousand files, and few descriptors. */
const known = new Map<ByteString, Buffer>();
const MAX_KNOWN = 1024;

function readDescriptor(value: ByteString): Buffer {
  const before = known.get(value);
  if (before !== undefined) return before;
  const bytes = readBase64(WindowsRecord.RawDescriptor, value);
  try {
    parseSecurityDescriptor(bytes);
  } catch (error) {
    throw bad(WindowsRecord.RawDescriptor, `is no security descriptor: ${(error as Error).message}`);
  }
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(value, bytes);
  return bytes;
}

function readSddl(value: ByteString): Buffer {
  if (value.length > MAX_BASE64) throw bad(WindowsRecord.Descriptor, 'is too long');
  try {
    return encodeSecurityDescriptor(parseSddl(value));
  } catch (error) {
    throw bad(WindowsRecord.Descriptor, `is no security descriptor: ${(error as Error).message}`);
  }
}

function readFlag(value: ByteString): boolean {
  if (value !== '1') throw bad(WindowsRecord.MountPoint, `is not 1: ${JSON.stringify(value.slice(0, 20))}`);
  return true;
}

function readTime(value: ByteString): bigint {
  try {
    return parsePaxTime(value);
  } catch {
    throw bad(WindowsRecord.CreationTime, `is no time: ${JSON.stringify(value.slice(0, 40))}`);
  }
}

/** Files share descriptors: the usual ones are encoded once. */
const encoded = new WeakMap<Uint8Array, string>();

function base64Of(descriptor: Uint8Array): string {
  let text = encoded.get(descriptor);
  if (text === undefined) {
    text = Buffer.from(descriptor.buffer, descriptor.byteOffset, descriptor.byteLength).toString('base64');
    encoded.set(descriptor, text);
  }
  return text;
}

/** The other way round; `creationTime` is text, because containerd's form of it is not the usual one. */
export function writeFileRecords(
  records: Omit<FileRecords, 'creationTimeNs'> & { readonly creationTime: string },
): Map<ByteString, ByteString> {
  const pax = new Map<ByteString, ByteString>();
  const { attributes, descriptor, isMountPoint, extendedAttributes, creationTime } = records;
  pax.set(WindowsRecord.CreationTime, creationTime);
  if (attributes !== undefined) pax.set(WindowsRecord.Attributes, String(attributes));
  if (descriptor !== undefined) pax.set(WindowsRecord.RawDescriptor, base64Of(descriptor));
  if (isMountPoint) pax.set(WindowsRecord.MountPoint, '1');
  for (const [name, value] of extendedAttributes)
    pax.set(WindowsRecord.ExtendedAttribute + name, Buffer.from(value).toString('base64'));
  return pax;
}

/** As containerd and BuildKit's daemons write it: the fraction is not filled up with zeros, and so is wrong unless it is 0. */
export function formatCreationTime(ns: bigint): string {
  return `${ns / SECOND}.${ns % SECOND}`;
}
