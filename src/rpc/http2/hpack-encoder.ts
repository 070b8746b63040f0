import { STATIC_INDEX } from './hpack-tables.ts';
import type { Fields } from './hpack-decoder.ts';

/**
 * Lists of fields to header blocks. What the static table has is an index, everything else a literal that enters no table:
 * calls differ in what is long, and a peer has nothing to keep for us.
 */
export class HpackEncoder {
  /**
   * The first block says that we use no table, so that whatever size the peer's settings name later, before or after it, we
   * never owe it an update (RFC 7541, 4.2).
   */
  #told = false;

  /** Text must have one byte a character. */
  encode(fields: Fields): Buffer {
    let bound = 1;
    for (const text of fields) bound += text.length + 6;
    const out = Buffer.allocUnsafe(bound);
    let at = 0;
    if (!this.#told) out[at++] = 0x20;
    this.#told = true;
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i];
      const value = fields[i + 1];
      const whole = STATIC_INDEX.get(`${name}\0${value}`);
      if (whole !== undefined) {
        out[at++] = 0x80 | whole;
        continue;
      }
      const index = STATIC_INDEX.get(name);
      if (index === undefined) {
        out[at++] = 0;
        at = putString(out, at, name);
      } else at = putInteger(out, at, 0x0f, index);
      at = putString(out, at, value);
    }
    return out.subarray(0, at);
  }
}

/** The bits above `mask` are 0. */
function putInteger(out: Buffer, from: number, mask: number, value: number): number {
  let at = from;
  if (value < mask) {
    out[at++] = value;
    return at;
  }
  out[at++] = mask;
  let rest = value - mask;
  while (rest >= 0x80) {
    out[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}

function putString(out: Buffer, from: number, text: string): number {
  const at = putInteger(out, from, 0x7f, text.length);
  return at + out.write(text, at, 'latin1');
}
