/**
 * The Huffman code of HPACK (RFC 7541, 5.2 and appendix B), read only: what we send is not compressed by it. The code is
 * canonical, symbols of one length have successive codes, so that the lengths tell all of it.
 */
import { COMPRESSION_ERROR, ConnectionFault } from './faults.ts';

/** Length of each symbol's code, with how many successive symbols have it; the last one is the end of the string. */
const LENGTHS =
  '13 23 28x7 24 30 28x2 30 28x8 30 28x9 6 10x2 12 13 6 8 11 10x2 8 11 8 6x3 5x3 6x7 7 8 15 6 12 10 13 ' +
  '6 7x22 8 7 8 13 19 13 14 6 15 5 6 5 6 5 6x3 5 7x2 6x3 5 6 7 6 5x2 6 7x5 15 11 14 13 28 20 22 20x2 ' +
  '22x3 23 22 23x5 24 23 24x2 22 23 24 23x4 21 22 23 22 23x2 24 22 21 20 22x2 23x2 21 23 22x2 24 21 22 ' +
  '23x2 21x2 22 21 23 22 23x2 20 22x3 23 22x2 23 26x2 20 19 22 23 22 25 26x3 27x2 26 24 25 19 21 26 ' +
  '27x2 26 27 24 21x2 26x2 28 27x3 20 24 20 21 22 21x2 23 22x2 25x2 24x2 26 23 26 27 26x2 27x5 28 27x5 ' +
  '26 30';
const EOS = 256;
const LEAF = 0x8000;

/** Pairs of successors for the bits 0 and 1: another pair, or a symbol with LEAF. Made when first needed. */
let tree: Uint16Array | undefined;

function grow(): Uint16Array {
  const lengths = LENGTHS.split(' ').flatMap((run) => {
    const [length, count = 1] = run.split('x').map(Number);
    return Array<number>(count).fill(length);
  });
  const nodes = new Uint16Array(2 * EOS);
  let used = 1;
  const put = (symbol: number, code: number, length: number): void => {
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const at = node * 2 + ((code >>> bit) & 1);
      if (nodes[at] === 0) nodes[at] = used++;
      node = nodes[at];
    }
    nodes[node * 2 + (code & 1)] = LEAF | symbol;
  };
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    for (let symbol = 0; symbol <= EOS; symbol++) if (lengths[symbol] === length) put(symbol, code++, length);
    code *= 2;
  }
  return nodes;
}

/** The text of `bytes[from..to)`, one character a byte. Throws a ConnectionFault for what is no such code. */
export function decodeHuffman(bytes: Uint8Array, from: number, to: number): string {
  tree ??= grow();
  // The shortest codes have five bits.
  const out = Buffer.allocUnsafe(Math.floor(((to - from) * 8) / 5));
  let length = 0;
  let node = 0;
  let depth = 0;
  let ones = true;
  for (let at = from; at < to; at++) {
    for (let bit = 7; bit >= 0; bit--) {
      const one = (bytes[at] >>> bit) & 1;
      const next = tree[node * 2 + one];
      depth++;
      if (one === 0) ones = false;
      if (next < LEAF) {
        node = next;
        continue;
      }
      if (next === (LEAF | EOS)) throw new ConnectionFault(COMPRESSION_ERROR, 'end of string inside a Huffman code');
      out[length++] = next & 0xff;
      node = 0;
      depth = 0;
      ones = true;
    }
  }
  if (depth > 7 || !ones) throw new ConnectionFault(COMPRESSION_ERROR, 'wrong padding of a Huffman code');
  return out.toString('latin1', 0, length);
}
