import { ftruncateSync, readSync, writeSync } from 'node:fs';

const PIECE = 1 << 20;
const HOLE = 64 << 10;

function isZero(bytes: Buffer): boolean {
  return bytes.length > 0 && bytes[0] === 0 && bytes.compare(bytes, 1, bytes.length, 0, bytes.length - 1) === 0;
}

/** All of one file into another, new one. What takes less room than it is long stays sparse. */
export function copyData(from: number, to: number, size: number, allocated: number): void {
  const sparse = allocated < size;
  const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(PIECE, size)));
  let at = 0;
  for (;;) {
    const n = readSync(from, buffer, 0, buffer.length, at);
    if (n === 0) break;
    const step = sparse ? HOLE : n;
    for (let offset = 0; offset < n; offset += step) {
      const piece = buffer.subarray(offset, Math.min(n, offset + step));
      if (sparse && isZero(piece)) continue;
      for (let done = 0; done < piece.length;)
        done += writeSync(to, piece, done, piece.length - done, at + offset + done);
    }
    at += n;
  }
  if (sparse) ftruncateSync(to, at);
}
