import type { BlobReader } from './types.ts';

/** Reads what can only be streamed by asking for it again from the start: cheap for who reads once, from base to top. */
export function restartingReader(size: number, open: () => AsyncIterable<Uint8Array>): BlobReader {
  async function* stream(offset = 0): AsyncGenerator<Uint8Array> {
    let skip = offset;
    for await (const chunk of open()) {
      const fresh = chunk.subarray(Math.min(skip, chunk.length));
      skip -= chunk.length - fresh.length;
      if (fresh.length > 0) yield fresh;
    }
  }
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const parts: Uint8Array[] = [];
    let left = length;
    for await (const part of stream(offset)) {
      parts.push(part.subarray(0, left));
      left -= Math.min(left, part.length);
      if (left === 0) break;
    }
    return Buffer.concat(parts);
  };
  return { size, stream, read, close: async () => {} };
}
