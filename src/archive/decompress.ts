import { pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { BuildError, invalidArgument } from '../base/index.ts';
import { Bunzip2 } from './bzip2.ts';
import { detectCompression, MAGIC_LENGTH } from './compression.ts';
import type { ArchiveCompression } from './compression.ts';
import { DEFAULT_LIMITS, limitExceeded, RATIO_FROM } from './limits.ts';
import { Unxz } from './xz.ts';

/** Large pieces double the speed of decompression. */
const CHUNK = 1 << 20;

export interface DecompressOptions {
  readonly maxRatio?: number;
}

/** The first bytes of a stream, and the stream with them. */
export async function peek(
  source: AsyncIterable<Uint8Array>,
  length: number = MAGIC_LENGTH,
): Promise<{ head: Uint8Array; stream: AsyncGenerator<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const parts: Uint8Array[] = [];
  let have = 0;
  while (have < length) {
    const next = await iterator.next();
    if (next.done === true) break;
    parts.push(next.value);
    have += next.value.length;
  }
  async function* stream(): AsyncGenerator<Uint8Array> {
    try {
      yield* parts;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { head: Buffer.concat(parts).subarray(0, length), stream: stream() };
}

/**
 * The uncompressed bytes of a stream of any kind, found by its first bytes. Broken data throws InvalidArgument, too much
 * data for its size ResourceExhausted. gzip members and zstd frames may follow one another.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array> {
  const { head, stream } = await peek(source);
  const kind = detectCompression(head);
  if (kind === 'none') {
    yield* stream;
    return;
  }
  const maxRatio = options.maxRatio ?? DEFAULT_LIMITS.maxRatio;
  let bytesIn = 0;
  let bytesOut = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of stream) {
      bytesIn += chunk.length;
      yield chunk;
    }
  }
  for await (const chunk of expand(kind, counted())) {
    bytesOut += chunk.length;
    if (bytesOut > RATIO_FROM && bytesOut > bytesIn * maxRatio)
      throw limitExceeded('bytes out for each byte in', maxRatio);
    yield chunk;
  }
}

async function* expand(
  kind: Exclude<ArchiveCompression, 'none'>,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (kind === 'bzip2' || kind === 'xz') {
    const decoder = kind === 'bzip2' ? new Bunzip2() : new Unxz();
    for await (const chunk of source) yield* decoder.write(chunk);
    decoder.end();
    return;
  }
  const decoder = kind === 'gzip' ? createGunzip({ chunkSize: CHUNK }) : createZstdDecompress({ chunkSize: CHUNK });
  try {
    // Errors reach the loop below through the stream itself.
    pipeline(Readable.from(source, { objectMode: false, highWaterMark: CHUNK }), decoder, () => {});
    for await (const chunk of decoder) yield chunk as Uint8Array;
  } catch (e) {
    if (e instanceof BuildError || !isFormatError(e)) throw e;
    throw invalidArgument(`${kind}: ${(e as Error).message}`, { cause: e });
  }
  return;
}

/** zlib's and zstd's own complaints have codes like Z_DATA_ERROR and ZSTD_error_…; a file that cannot be read has an errno. */
function isFormatError(thrown: unknown): boolean {
  const code = (thrown as NodeJS.ErrnoException)?.code ?? '';
  return code.startsWith('Z_') || code.startsWith('ZSTD') || code === 'ERR_ZLIB';
}
