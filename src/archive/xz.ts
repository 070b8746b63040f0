/** xz streams ("The .xz File Format"): blocks of LZMA2 with their checks, an index, and again. Other filters are refused. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { BuildError, Code } from '../base/index.ts';
import { brokenXz, Lzma2Decoder } from './lzma2.ts';

/** What `xz -9` uses is 64 MiB. */
const MAX_WINDOW = 256 << 20;
/** Of a terabyte in blocks of a megabyte; the index is read in one piece. */
const MAX_RECORDS = 1 << 20;
const LZMA2 = 0x21;
const MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]);

/** Thrown while a part is not complete: it is read again when more bytes are there. */
class NeedMore extends Error {}

interface Check {
  update(bytes: Uint8Array): void;
  digest(): Buffer;
}

const CRC64 = (() => {
  const high = new Uint32Array(256);
  const low = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    let value = BigInt(n);
    for (let i = 0; i < 8; i++) value = (value & 1n) === 1n ? (value >> 1n) ^ 0xc96c5795d7870f42n : value >> 1n;
    high[n] = Number(value >> 32n);
    low[n] = Number(value & 0xffffffffn);
  }
  return { high, low };
})();

class Crc64 implements Check {
  #high = 0xffffffff;
  #low = 0xffffffff;

  update(bytes: Uint8Array): void {
    let high = this.#high;
    let low = this.#low;
    for (const byte of bytes) {
      const index = (low ^ byte) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ (CRC64.low[index] as number);
      high = (high >>> 8) ^ (CRC64.high[index] as number);
    }
    this.#high = high;
    this.#low = low;
  }

  digest(): Buffer {
    const out = Buffer.alloc(8);
    out.writeInt32LE(~this.#low, 0);
    out.writeInt32LE(~this.#high, 4);
    return out;
  }
}

function makeCheck(type: number): Check {
  switch (type) {
    case 0:
      return { update: () => {}, digest: () => Buffer.alloc(0) };
    case 1: {
      let sum = 0;
      const digest = (): Buffer => {
        const out = Buffer.alloc(4);
        out.writeUInt32LE(sum);
        return out;
      };
      return { update: (bytes) => void (sum = crc32(bytes, sum)), digest };
    }
    case 4:
      return new Crc64();
    case 10: {
      const hash = createHash('sha256');
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
    }
    default:
      throw brokenXz('unknown check');
  }
}

interface Block {
  readonly decoder: Lzma2Decoder;
  readonly check: Check;
  /** Compressed bytes so far, header included. */
  length: number;
}

export class Unxz {
  #bytes = Buffer.alloc(0);
  #at = 0;
  #place: 'start' | 'blocks' | 'chunks' | 'footer' = 'start';
  #checkType = 0;
  #block: Block | undefined;
  #streams = 0;

  *write(chunk: Uint8Array): Generator<Uint8Array> {
    this.#bytes = Buffer.concat([this.#bytes.subarray(this.#at), chunk]);
    this.#at = 0;
    for (;;) {
      const at = this.#at;
      try {
        const data = this.#step();
        if (data !== undefined) yield data;
      } catch (error) {
        if (!(error instanceof NeedMore)) throw error;
        this.#at = at;
        return;
      }
    }
  }

  end(): void {
    if (this.#place !== 'start' || this.#streams === 0 || this.#at < this.#bytes.length)
      throw brokenXz('unexpected EOF');
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new NeedMore();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** Seven bits a byte, the lowest first. */
  #number(from: () => number): number {
    let value = 0;
    for (let i = 0; ; i++) {
      const byte = from();
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
      if (i === 6) throw brokenXz('number is too big');
    }
  }

  #step(): Uint8Array | undefined {
    switch (this.#place) {
      case 'start':
        this.#start();
        return undefined;
      case 'blocks':
        if (this.#take(1)[0] === 0) this.#index();
        else {
          this.#at--;
          this.#startBlock();
        }
        return undefined;
      case 'chunks':
        return this.#chunk(this.#block as Block);
      case 'footer': {
        const footer = this.#take(12);
        if (footer[10] !== 0x59 || footer[11] !== 0x5a || footer.readUInt32LE(0) !== crc32(footer.subarray(4, 10)))
          throw brokenXz('bad footer');
        this.#place = 'start';
        this.#streams++;
        return undefined;
      }
    }
  }

  #start(): void {
    const first = this.#take(4);
    // Zeros may lie between streams.
    if (this.#streams > 0 && first.readUInt32LE(0) === 0) return;
    this.#at -= 4;
    const head = this.#take(12);
    if (!head.subarray(0, 6).equals(MAGIC) || head[6] !== 0 || head.readUInt32LE(8) !== crc32(head.subarray(6, 8)))
      throw brokenXz('bad header');
    this.#checkType = head[7] as number;
    makeCheck(this.#checkType);
    this.#place = 'blocks';
  }

  #startBlock(): void {
    const size = ((this.#take(1)[0] as number) + 1) * 4;
    this.#at--;
    const head = this.#take(size);
    if (head.readUInt32LE(size - 4) !== crc32(head.subarray(0, size - 4))) throw brokenXz('bad block header');
    let at = 2;
    const byte = (): number => {
      if (at >= size - 4) throw brokenXz('bad block header');
      return head[at++] as number;
    };
    const flags = head[1] as number;
    if ((flags & 0x40) !== 0) this.#number(byte);
    if ((flags & 0x80) !== 0) this.#number(byte);
    if ((flags & 3) !== 0 || this.#number(byte) !== LZMA2 || this.#number(byte) !== 1)
      throw new BuildError(Code.Unimplemented, 'xz: filters other than LZMA2 are not supported');
    const bits = byte();
    const window = bits === 40 ? 2 ** 32 - 1 : (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11);
    if (bits > 40 || window > MAX_WINDOW)
      throw new BuildError(
        Code.ResourceExhausted,
        `xz: a window of ${window} bytes exceeds the limit of ${MAX_WINDOW}`,
      );
    this.#block = { decoder: new Lzma2Decoder(window), check: makeCheck(this.#checkType), length: 0 };
    this.#place = 'chunks';
  }

  #chunk(block: Block): Uint8Array | undefined {
    const headLength = Lzma2Decoder.headLength(this.#take(1)[0] as number);
    this.#at--;
    const head = this.#take(headLength);
    if (head[0] === 0) {
      const padding = (4 - ((block.length + 1) % 4)) % 4;
      const sum = block.check.digest;
      const zeros = this.#take(padding);
      const size = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32][this.#checkType] as number;
      const stored = this.#take(size);
      if (zeros.some((byte) => byte !== 0) || !sum.call(block.check).equals(stored)) throw brokenXz('wrong checksum');
      this.#block = undefined;
      this.#place = 'blocks';
      return undefined;
    }
    const body = this.#take(Lzma2Decoder.bodyLength(head));
    const data = block.decoder.chunk(head, body);
    block.length += headLength + body.length;
    block.check.update(data);
    return data;
  }

  /** Sizes of blocks, for those who seek: read over. */
  #index(): void {
    const start = this.#at - 1;
    const byte = (): number => this.#take(1)[0] as number;
    const records = this.#number(byte);
    if (records > MAX_RECORDS) throw brokenXz('too many blocks');
    for (let i = 0; i < records; i++) {
      this.#number(byte);
      this.#number(byte);
    }
    this.#take((4 - ((this.#at - start) % 4)) % 4);
    const sum = crc32(this.#bytes.subarray(start, this.#at));
    if (this.#take(4).readUInt32LE(0) !== sum) throw brokenXz('bad index');
    this.#place = 'footer';
  }
}
