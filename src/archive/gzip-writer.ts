/**
 * gzip on several cores (pigz's way): blocks of 1 MiB are deflated on their own in libuv's pool, each with the 32 KiB before
 * it as dictionary, and joined to one member. The bytes depend on the data and the level alone, never on cores or load.
 */
import { availableParallelism } from 'node:os';
import { constants, crc32, deflateRaw } from 'node:zlib';
import { Deferred } from '../base/index.ts';

export const GZIP_BLOCK = 1 << 20;
const WINDOW = 32 << 10;
export const DEFAULT_GZIP_LEVEL = 6;

/** Where compressed bytes go, in order. */
export type ByteSink = (bytes: Uint8Array) => void | Promise<void>;

/** Takes bytes as they come and hands compressed ones on. */
export interface CompressedWriter {
  /** Waits while too much is under way. The bytes are copied. */
  write(bytes: Uint8Array): Promise<void>;
  /** Hands on what is left; nothing may be written afterwards. */
  end(): Promise<void>;
}

export class GzipWriter implements CompressedWriter {
  readonly #level: number;
  readonly #sink: ByteSink;
  readonly #maxInFlight = Math.max(4, 2 * availableParallelism());
  #block = Buffer.allocUnsafe(GZIP_BLOCK);
  #filled = 0;
  #dictionary: Buffer | undefined;
  #crc = 0;
  #size = 0;
  #inFlight = 0;
  /** Blocks are handed on one after the other: this is the last one's turn. */
  #tail: Promise<void>;
  #freed: Deferred | undefined;
  #failure: Error | undefined;

  constructor(sink: ByteSink, level: number = DEFAULT_GZIP_LEVEL) {
    this.#sink = sink;
    this.#level = level;
    // RFC 1952: no name, no time, unknown system; the extra flags name the fastest and the best level.
    const flags = level === 9 ? 2 : level === 1 ? 4 : 0;
    this.#tail = (async () => sink(Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, flags, 255])))();
    this.#tail.catch(() => {});
  }

  async write(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.length) {
      const take = Math.min(GZIP_BLOCK - this.#filled, bytes.length - at);
      this.#block.set(bytes.subarray(at, at + take), this.#filled);
      this.#filled += take;
      at += take;
      if (this.#filled === GZIP_BLOCK) await this.#flush();
    }
  }

  async end(): Promise<void> {
    if (this.#filled > 0) await this.#flush();
    await this.#tail;
    const trailer = Buffer.alloc(10);
    // An empty last block of fixed codes ends the deflate stream.
    trailer.writeUInt16BE(0x0300, 0);
    trailer.writeUInt32LE(this.#crc, 2);
    trailer.writeUInt32LE(this.#size % 2 ** 32, 6);
    await this.#sink(trailer);
  }

  async #flush(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const block = this.#block.subarray(0, this.#filled);
    this.#block = Buffer.allocUnsafe(GZIP_BLOCK);
    this.#filled = 0;
    this.#crc = crc32(block, this.#crc);
    this.#size += block.length;
    const before = this.#dictionary;
    this.#dictionary = block.subarray(Math.max(0, block.length - WINDOW));
    this.#inFlight++;
    const deflated = deflate(block, this.#level, before);
    deflated.catch(() => {});
    const previous = this.#tail;
    const turn = (async () => {
      try {
        await previous;
        await this.#sink(await deflated);
      } catch (e) {
        this.#failure ??= e as Error;
        throw e;
      } finally {
        this.#inFlight--;
        this.#freed?.resolve();
      }
    })();
    turn.catch(() => {});
    this.#tail = turn;
    while (this.#inFlight >= this.#maxInFlight) {
      this.#freed = new Deferred();
      await this.#freed.promise;
    }
  }
}

function deflate(block: Buffer, level: number, dictionary: Buffer | undefined): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { level, finishFlush: constants.Z_SYNC_FLUSH, chunkSize: GZIP_BLOCK };
    deflateRaw(block, dictionary === undefined ? options : { ...options, dictionary }, (error, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}
