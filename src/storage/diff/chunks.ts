import { closeSync, constants, openSync, readSync } from 'node:fs';
import { encodeTarHeader, fromByteString, fsPath, tarPadding } from '../../archive/index.ts';
import type { ByteString, TarHeader } from '../../archive/index.ts';
import { BuildError, Code } from '../../base/index.ts';

const CHUNK = 1 << 20;

/** Gathers a tar into chunks of 1 MiB, each a buffer of its own. What is full is handed out by {@link full}. */
export class TarChunks {
  #chunk = Buffer.allocUnsafeSlow(CHUNK);
  #filled = 0;
  #full: Buffer[] = [];

  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      const take = Math.min(CHUNK - this.#filled, bytes.length - at);
      this.#chunk.set(at === 0 && take === bytes.length ? bytes : bytes.subarray(at, at + take), this.#filled);
      at += take;
      this.#advance(take);
    }
  }

  header(header: TarHeader): void {
    this.push(encodeTarHeader(header));
  }

  /** `size` bytes of a file and what fills its last block up. The file must be that long; what it has grown by is left out. */
  *file(path: ByteString, size: number): Generator<Buffer> {
    let left = size;
    const fd = openSync(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      while (left > 0) {
        const n = readSync(fd, this.#chunk, this.#filled, Math.min(CHUNK - this.#filled, left), null);
        if (n === 0)
          throw new BuildError(Code.Unknown, `failed to copy: ${fromByteString(path)}: short write copying file`);
        left -= n;
        this.#advance(n);
        yield* this.full();
      }
    } finally {
      closeSync(fd);
    }
    this.push(tarPadding(size));
  }

  *full(): Generator<Buffer> {
    while (this.#full.length > 0) yield this.#full.shift() as Buffer;
  }

  /** What is left. */
  *end(): Generator<Buffer> {
    yield* this.full();
    if (this.#filled > 0) yield this.#chunk.subarray(0, this.#filled);
    this.#filled = 0;
  }

  #advance(bytes: number): void {
    this.#filled += bytes;
    if (this.#filled < CHUNK) return;
    this.#full.push(this.#chunk);
    this.#chunk = Buffer.allocUnsafeSlow(CHUNK);
    this.#filled = 0;
  }
}
