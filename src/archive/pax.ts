/** PAX extended headers: records `<length> <key>=<value>\n` (POSIX pax, "Extended Header"). Bytes stay bytes. */
import type { ByteString } from './byte-string.ts';
import { invalidTar } from './limits.ts';

const MAX_DECIMAL = 20;

/** Keys may repeat (sparse format 0.0 does): records come in order. Throws InvalidArgument. */
export function parsePaxRecords(data: Uint8Array): Array<readonly [ByteString, ByteString]> {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const records: Array<readonly [ByteString, ByteString]> = [];
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at);
    if (space < 0 || space === at || space - at > MAX_DECIMAL) throw invalidTar('PAX record without a length');
    const text = bytes.toString('latin1', at, space);
    const length = /^[0-9]+$/.test(text) ? Number(text) : NaN;
    const end = at + length;
    if (!(length > space - at + 1) || end > bytes.length || bytes[end - 1] !== 0x0a)
      throw invalidTar('PAX record with a wrong length');
    const equals = bytes.indexOf(0x3d, space + 1);
    if (equals < 0 || equals >= end || equals === space + 1) throw invalidTar('PAX record without a key');
    const key = bytes.toString('latin1', space + 1, equals);
    const value = bytes.toString('latin1', equals + 1, end - 1);
    if (!isValidPaxRecord(key, value)) throw invalidTar('PAX record with a zero byte');
    records.push([key, value]);
    at = end;
  }
  return records;
}

const TEXT_KEYS = new Set(['path', 'linkpath', 'uname', 'gname']);

export function isValidPaxRecord(key: ByteString, value: ByteString): boolean {
  if (key === '' || key.includes('=')) return false;
  return TEXT_KEYS.has(key) ? !value.includes('\0') : !key.includes('\0');
}

/** One record; its length counts its own digits. */
export function formatPaxRecord(key: ByteString, value: ByteString): ByteString {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

/** Seconds with up to nine digits after the point, as nanoseconds. Throws InvalidArgument. */
export function parsePaxTime(text: string): bigint {
  const match = /^(-?)([0-9]+)(?:\.([0-9]*))?$/.exec(text);
  if (match === null || (match[2] as string).length > 18) throw invalidTar('time');
  const fraction = (match[3] ?? '').slice(0, 9).padEnd(9, '0');
  const ns = BigInt(match[2] as string) * 1_000_000_000n + BigInt(fraction);
  return match[1] === '-' ? -ns : ns;
}

export function formatPaxTime(ns: bigint): string {
  const sign = ns < 0n ? '-' : '';
  const abs = ns < 0n ? -ns : ns;
  const fraction = abs % 1_000_000_000n;
  if (fraction === 0n) return `${sign}${abs / 1_000_000_000n}`;
  return `${sign}${abs / 1_000_000_000n}.${fraction.toString().padStart(9, '0').replace(/0+$/, '')}`;
}
