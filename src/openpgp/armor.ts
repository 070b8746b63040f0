/** ASCII armor: blocks of base64 between BEGIN and END lines. */
import { structural } from './failure.ts';

export interface ArmoredBlock {
  /** `PGP SIGNATURE`, `PGP PUBLIC KEY BLOCK`, … */
  readonly type: string;
  readonly bytes: Uint8Array;
}

const BEGIN = /^-----BEGIN (PGP [A-Z0-9 ,/]+)-----\s*$/;

/** All blocks of the text, whatever stands between them. Check sums are not looked at: RFC 9580 has done away with them. */
export function readArmor(text: string): ArmoredBlock[] {
  const blocks: ArmoredBlock[] = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const type = BEGIN.exec(lines[at])?.[1];
    if (type === undefined) continue;
    let end = at + 1;
    while (end < lines.length && lines[end].trimEnd() !== `-----END ${type}-----`) end++;
    if (end === lines.length) throw structural('armor has no end');
    const body = lines.slice(at + 1, end).map((line) => line.trim());
    // Headers end with an empty line.
    const blank = body.indexOf('');
    const base64 = body.slice(blank + 1).filter((line) => !/^=[A-Za-z0-9+/]{4}$/.test(line));
    const joined = base64.join('');
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(joined)) throw structural('armor is no base64');
    blocks.push({ type, bytes: Buffer.from(joined, 'base64') });
    at = end;
  }
  return blocks;
}
