/** Security identifiers: `S-1-<authority>-<sub-authority>…` as text, and their binary form (MS-DTYP 2.4.2). */
import { invalidArgument } from '../../base/index.ts';

const MAX_SUB_AUTHORITIES = 15;
const HEADER = 8;

/** Bytes of the SID at `at`. Throws InvalidArgument when there is none. */
export function sidLength(bytes: Uint8Array, at: number): number {
  const count = bytes[at + 1];
  if (bytes[at] !== 1 || count === undefined || count > MAX_SUB_AUTHORITIES)
    throw invalidArgument('security identifier of an unknown form');
  const length = HEADER + 4 * count;
  if (at + length > bytes.length) throw invalidArgument('security identifier is cut off');
  return length;
}

export function readSid(bytes: Uint8Array, at: number): string {
  const length = sidLength(bytes, at);
  const view = Buffer.from(bytes.buffer, bytes.byteOffset + at, length);
  const authority = view.readUIntBE(2, 6);
  // Beyond 32 bits it is written in hexadecimal.
  const parts = [authority < 2 ** 32 ? String(authority) : `0x${authority.toString(16)}`];
  for (let i = HEADER; i < length; i += 4) parts.push(String(view.readUInt32LE(i)));
  return `S-1-${parts.join('-')}`;
}

export function writeSid(text: string): Buffer {
  const match = /^S-1-([0-9]{1,10}|0x[0-9a-f]{1,12})((?:-[0-9]{1,10}){0,15})$/i.exec(text);
  if (match === null) throw invalidArgument(`"${text}" is no security identifier`);
  const authority = Number(match[1]);
  const parts = (match[2] as string).split('-').slice(1).map(Number);
  if (authority >= 2 ** 48 || parts.some((part) => part >= 2 ** 32))
    throw invalidArgument(`"${text}" is no security identifier`);
  const bytes = Buffer.alloc(HEADER + 4 * parts.length);
  bytes[0] = 1;
  bytes[1] = parts.length;
  bytes.writeUIntBE(authority, 2, 6);
  for (const [i, part] of parts.entries()) bytes.writeUInt32LE(part, HEADER + 4 * i);
  return bytes;
}
