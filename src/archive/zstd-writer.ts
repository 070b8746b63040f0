import { once } from 'node:events';
import { constants, createZstdCompress } from 'node:zlib';
import type { ByteSink, CompressedWriter } from './gzip-writer.ts';

export const DEFAULT_ZSTD_LEVEL = 3;
/** Input goes in in pieces of this size, so that the bytes do not depend on how they came. */
const PIECE = 1 << 20;

export class ZstdWriter implements CompressedWriter {
  readonly #stream: ReturnType<typeof createZstdCompress>;
  readonly #done: Promise<void>;
  #piece = Buffer.allocUnsafe(PIECE);
  #filled = 0;

  constructor(sink: ByteSink, level: number = DEFAULT_ZSTD_LEVEL) {
    const params = { [constants.ZSTD_c_compressionLevel]: level };
    const stream = createZstdCompress({ params, chunkSize: 256 << 10 });
    this.#stream = stream;
    this.#done = (async () => {
      for await (const chunk of stream) await sink(chunk as Uint8Array);
    })();
    this.#done.catch(() => {});
  }

  async write(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.length) {
      const take = Math.min(PIECE - this.#filled, bytes.length - at);
      this.#piece.set(bytes.subarray(at, at + take), this.#filled);
      this.#filled += take;
      at += take;
      if (this.#filled === PIECE) await this.#flush();
    }
  }

  async end(): Promise<void> {
    if (this.#filled > 0) await this.#flush();
    this.#stream.end();
    await this.#done;
  }

  async #flush(): Promise<void> {
    const piece = this.#piece.subarray(0, this.#filled);
    this.#piece = Buffer.allocUnsafe(PIECE);
    this.#filled = 0;
    if (this.#stream.destroyed) await this.#done;
    // A sink that failed ends the stream, and with it the wait for room.
    if (!this.#stream.write(piece)) await Promise.race([once(this.#stream, 'drain'), this.#done]);
  }
}
