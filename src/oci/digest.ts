import { createHash, hash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { invalidArgument } from '../base/index.ts';
import type { Digest } from './types.ts';

const SHA256 = /^sha256:[0-9a-f]{64}$/;
const SHAPE = /^([a-z0-9]+(?:[.+_-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)$/;

/** Throws InvalidArgument in the words of go-digest. */
export function parseDigest(text: string): Digest {
  if (SHA256.test(text)) return text as Digest;
  const shape = SHAPE.exec(text);
  if (shape === null) throw invalidArgument('invalid checksum digest format');
  if (shape[1] !== 'sha256') throw invalidArgument('unsupported digest algorithm');
  throw invalidArgument(shape[2].length === 64 ? 'invalid checksum digest format' : 'invalid checksum digest length');
}

const HEX_DIGITS = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
]);

/** As {@link parseDigest}, of any algorithm that go-digest knows: for files whose digest somebody else has published. */
export function parseChecksum(text: string): string {
  const shape = SHAPE.exec(text);
  if (shape === null) throw invalidArgument('invalid checksum digest format');
  const [, algorithm, hex] = shape;
  const length = HEX_DIGITS.get(algorithm);
  if (length === undefined) throw invalidArgument('unsupported digest algorithm');
  if (hex.length !== length) throw invalidArgument('invalid checksum digest length');
  if (!/^[0-9a-f]+$/.test(hex)) throw invalidArgument('invalid checksum digest format');
  return text;
}

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && SHA256.test(text);
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${hash('sha256', bytes)}` as Digest;
}

/** Counts and digests what streams by. */
export class DigestHasher {
  readonly #hash: Hash = createHash('sha256');
  #size = 0;

  update(chunk: Uint8Array): this {
    this.#hash.update(chunk);
    this.#size += chunk.length;
    return this;
  }

  get size(): number {
    return this.#size;
  }

  /** Ends the hasher. */
  digest(): Digest {
    return `sha256:${this.#hash.digest('hex')}` as Digest;
  }
}

/** The digest that stands for a whole chain of layers (OCI image spec, "Layer ChainID"); undefined for no layer. */
export function chainId(diffIds: readonly Digest[]): Digest | undefined {
  let chain: Digest | undefined;
  for (const diffId of diffIds) chain = chain === undefined ? diffId : digestOf(`${chain} ${diffId}`);
  return chain;
}
