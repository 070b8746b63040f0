import { randomBytes } from 'node:crypto';

/** 25 random characters of base 36, the shape of every id that BuildKit hands out (identity/randomid.go upstream). */
export function randomId(): string {
  const value = BigInt(`0x${randomBytes(17).toString('hex')}`).toString(36);
  return value.slice(-25).padStart(25, '0');
}
