/** Self-relative security descriptors (MS-DTYP 2.4.6): who owns a file, and who may do what with it. */
import { invalidArgument } from '../../base/index.ts';
import { readSid, sidLength, writeSid } from './sid.ts';

export const Control = {
  DaclPresent: 0x0004,
  SaclPresent: 0x0010,
  DaclAutoInherited: 0x0400,
  SaclAutoInherited: 0x0800,
  DaclProtected: 0x1000,
  SaclProtected: 0x2000,
  SelfRelative: 0x8000,
} as const;

/** One entry of an access control list. */
export interface Ace {
  readonly type: number;
  readonly flags: number;
  /** What follows the entry's header, in a form that its type has. */
  readonly body: Uint8Array;
}

export interface Acl {
  readonly revision: number;
  readonly entries: readonly Ace[];
}

export interface SecurityDescriptor {
  readonly control: number;
  /** SIDs as text. */
  readonly owner: string | undefined;
  readonly group: string | undefined;
  /** `null`: there is one that grants everything; undefined: there is none. */
  readonly sacl: Acl | null | undefined;
  readonly dacl: Acl | null | undefined;
}

const HEADER = 20;
const ACL_HEADER = 8;
const ACE_HEADER = 4;
/** An access control list says its own length in 16 bits; with its SIDs no descriptor that files have is longer. */
export const MAX_DESCRIPTOR = 0xffff;

/** Types whose body is an access mask and a SID; others are carried as they are (MS-DTYP 2.4.4.1). */
const PLAIN_TYPES = new Set([0x00, 0x01, 0x02, 0x03, 0x11, 0x13]);

export function isPlainAce(type: number): boolean {
  return PLAIN_TYPES.has(type);
}

export function plainAce(type: number, flags: number, mask: number, sid: string): Ace {
  const body = Buffer.concat([Buffer.alloc(4), writeSid(sid)]);
  body.writeUInt32LE(mask >>> 0, 0);
  return { type, flags, body };
}

/** Of a plain entry. */
export function aceGrant(ace: Ace): { readonly mask: number; readonly sid: string } {
  const body = Buffer.from(ace.body.buffer, ace.body.byteOffset, ace.body.byteLength);
  return { mask: body.readUInt32LE(0), sid: readSid(body, 4) };
}

/** Throws InvalidArgument for bytes that are none. */
export function parseSecurityDescriptor(given: Uint8Array): SecurityDescriptor {
  if (given.length > MAX_DESCRIPTOR)
    throw invalidArgument(`security descriptor is longer than ${MAX_DESCRIPTOR} bytes`);
  const bytes = Buffer.from(given.buffer, given.byteOffset, given.byteLength);
  if (bytes.length < HEADER || bytes[0] !== 1) throw invalidArgument('security descriptor of an unknown form');
  const control = bytes.readUInt16LE(2);
  if ((control & Control.SelfRelative) === 0) throw invalidArgument('security descriptor is not self-relative');
  const [owner, group, sacl, dacl] = [4, 8, 12, 16].map((at) => bytes.readUInt32LE(at)) as [
    number,
    number,
    number,
    number,
  ];
  const inside = (at: number): number => {
    if (at < HEADER || at >= bytes.length) throw invalidArgument('security descriptor points outside itself');
    return at;
  };
  const list = (flag: number, at: number): Acl | null | undefined => {
    if ((control & flag) === 0) return undefined;
    return at === 0 ? null : parseAcl(bytes, inside(at));
  };
  return {
    control,
    owner: owner === 0 ? undefined : readSid(bytes, inside(owner)),
    group: group === 0 ? undefined : readSid(bytes, inside(group)),
    sacl: list(Control.SaclPresent, sacl),
    dacl: list(Control.DaclPresent, dacl),
  };
}

function parseAcl(bytes: Buffer, start: number): Acl {
  if (start + ACL_HEADER > bytes.length) throw invalidArgument('access control list is cut off');
  const revision = bytes[start] as number;
  const size = bytes.readUInt16LE(start + 2);
  const count = bytes.readUInt16LE(start + 4);
  const end = start + size;
  if (revision < 2 || revision > 4 || size < ACL_HEADER || end > bytes.length)
    throw invalidArgument('access control list of an unknown form');
  const entries: Ace[] = [];
  let at = start + ACL_HEADER;
  for (let i = 0; i < count; i++) {
    const length = at + ACE_HEADER > end ? 0 : bytes.readUInt16LE(at + 2);
    if (length < ACE_HEADER || at + length > end) throw invalidArgument('access control entry is cut off');
    const ace: Ace = {
      type: bytes[at] as number,
      flags: bytes[at + 1] as number,
      body: bytes.subarray(at + ACE_HEADER, at + length),
    };
    if (isPlainAce(ace.type)) checkGrant(ace.body);
    entries.push(ace);
    at += length;
  }
  return { revision, entries };
}

function checkGrant(body: Uint8Array): void {
  if (body.length < 4) throw invalidArgument('access control entry is cut off');
  sidLength(body, 4);
}

/** In the order in which Windows itself writes one from SDDL: owner, group, SACL, DACL. */
export function encodeSecurityDescriptor(sd: SecurityDescriptor): Buffer {
  const header = Buffer.alloc(HEADER);
  let control = sd.control | Control.SelfRelative;
  const parts: Buffer[] = [header];
  let length = HEADER;
  const put = (at: number, part: Buffer | undefined): void => {
    if (part === undefined) return;
    header.writeUInt32LE(length, at);
    parts.push(part);
    length += part.length;
  };
  const list = (at: number, flag: number, acl: Acl | null | undefined): void => {
    control = acl === undefined ? control & ~flag : control | flag;
    put(at, acl === undefined || acl === null ? undefined : encodeAcl(acl));
  };
  put(4, sd.owner === undefined ? undefined : writeSid(sd.owner));
  put(8, sd.group === undefined ? undefined : writeSid(sd.group));
  list(12, Control.SaclPresent, sd.sacl);
  list(16, Control.DaclPresent, sd.dacl);
  header[0] = 1;
  header.writeUInt16LE(control, 2);
  return Buffer.concat(parts);
}

function encodeAcl({ revision, entries }: Acl): Buffer {
  const parts = entries.map(({ type, flags, body }) => {
    const header = Buffer.from([type, flags, 0, 0]);
    header.writeUInt16LE(ACE_HEADER + body.length, 2);
    return Buffer.concat([header, body]);
  });
  const header = Buffer.alloc(ACL_HEADER);
  header[0] = revision;
  const size = ACL_HEADER + parts.reduce((sum, part) => sum + part.length, 0);
  if (size > 0xffff) throw invalidArgument('access control list is longer than 65535 bytes');
  header.writeUInt16LE(size, 2);
  header.writeUInt16LE(entries.length, 4);
  return Buffer.concat([header, ...parts]);
}
