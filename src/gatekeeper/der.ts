/** DER (X.690), as much of it as certificates need. */

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8: 0x0c,
  generalizedTime: 0x18,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
} as const;

function length(count: number): number[] {
  if (count < 0x80) return [count];
  const bytes: number[] = [];
  for (let rest = count; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

/** A value with any tag, e.g. of a context. */
export function tagged(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, ...length(content.length)]), content]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => tagged(TAG.sequence, ...parts);
export const set = (...parts: readonly Uint8Array[]): Buffer => tagged(TAG.set, ...parts);
export const octets = (bytes: Uint8Array): Buffer => tagged(TAG.octetString, bytes);
export const utf8 = (text: string): Buffer => tagged(TAG.utf8, Buffer.from(text));
export const yes = tagged(TAG.boolean, Buffer.of(0xff));
export const nothing = tagged(TAG.null);

/** `unused`: bits of the last byte that do not count. */
export function bits(bytes: Uint8Array, unused = 0): Buffer {
  return tagged(TAG.bitString, Buffer.of(unused), bytes);
}

/** Not negative, from its bytes, the highest first. */
export function integer(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const rest = bytes.subarray(start);
  return tagged(TAG.integer, ...((rest[0] ?? 0) >= 0x80 || rest.length === 0 ? [Buffer.of(0)] : []), rest);
}

/** `1.2.840…`. */
export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const septets = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      septets.unshift((left & 0x7f) | 0x80);
    }
    bytes.push(...septets);
  }
  return tagged(TAG.oid, Buffer.from(bytes));
}

/** To the second; from 2050 on in the other form (RFC 5280, 4.1.2.5). */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/\.\d+/, '').replace(/[-:T]/g, '');
  const late = date.getUTCFullYear() >= 2050;
  return tagged(late ? TAG.generalizedTime : TAG.utcTime, Buffer.from(late ? digits : digits.slice(2)));
}
