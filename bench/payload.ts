/** Files with contents that compress about as well as programs and texts do, the same in every run. */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A small generator with a seed (xorshift): contents must not change from run to run, nothing here is secret. */
function generator(seed: number): () => number {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

const PIECE = 4096;
const PIECES = 2048;

/** Pieces of which three quarters are words and one quarter is noise; gzip leaves about 45 % of them. */
function makePieces(): Buffer {
  const next = generator(0x5eed);
  const words = Array.from({ length: 4000 }, () => {
    const length = 2 + (next() % 9);
    return Array.from({ length }, () => String.fromCharCode(97 + (next() % 26))).join('');
  });
  const all = Buffer.alloc(PIECE * PIECES);
  for (let piece = 0; piece < PIECES; piece++) {
    const at = piece * PIECE;
    if (piece % 4 === 0) for (let i = 0; i < PIECE; i += 4) all.writeUInt32LE(next(), at + i);
    else {
      let text = '';
      while (text.length < PIECE) text += `${words[next() % words.length]} `;
      all.write(text, at, PIECE, 'latin1');
    }
  }
  return all;
}

export class Payload {
  readonly #pieces = makePieces();
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = generator(seed);
  }

  writeFile(path: string, size: number): void {
    mkdirSync(dirname(path), { recursive: true });
    const fd = openSync(path, 'w');
    try {
      for (let left = size; left > 0; left -= PIECE) {
        const at = (this.#next() % PIECES) * PIECE;
        writeSync(fd, this.#pieces, at, Math.min(left, PIECE));
      }
    } finally {
      closeSync(fd);
    }
  }

  /** `count` files of `size` bytes each in folders of 100. */
  writeFiles(folder: string, count: number, size: number): void {
    for (let i = 0; i < count; i++) {
      this.writeFile(join(folder, `d${Math.floor(i / 100)}`, `f${i % 100}`), size);
    }
  }
}
