import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { BuildError, Code, notFound, throwIfAborted } from '../base/index.ts';
import type { Digest } from '../oci/types.ts';
import type { BlobReader, ContentProvider } from './types.ts';

const CHUNK = 1024 * 1024;

/** containerd's wording (core/content: not found). */
export function blobNotFound(digest: string): BuildError {
  return notFound(`content ${digest}: not found`);
}

class FileReader implements BlobReader {
  readonly size: number;
  readonly #file: FileHandle;
  #closed: Promise<void> | undefined;

  constructor(file: FileHandle, size: number) {
    this.#file = file;
    this.size = size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const wanted = Math.max(0, Math.min(length, this.size - offset));
    const buffer = Buffer.allocUnsafe(wanted);
    let filled = 0;
    while (filled < wanted) {
      const { bytesRead } = await this.#file.read(buffer, filled, wanted - filled, offset + filled);
      if (bytesRead === 0) throw new BuildError(Code.DataLoss, `blob ends at ${offset + filled} of ${this.size} bytes`);
      filled += bytesRead;
    }
    return buffer;
  }

  async *stream(offset = 0): AsyncGenerator<Uint8Array> {
    try {
      // One read ahead: the disk works while the consumer does.
      let next: Promise<Uint8Array> | undefined;
      for (let at = offset; at < this.size;) {
        const chunk: Uint8Array = await (next ?? this.read(at, CHUNK));
        at += chunk.length;
        next = at < this.size ? this.read(at, CHUNK) : undefined;
        next?.catch(() => {});
        yield chunk;
      }
    } finally {
      await this.close();
    }
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#file.close());
  }
}

/** Reads a file as the blob `digest`; NotFound when there is none. */
export async function fileReader(path: string, digest: Digest): Promise<BlobReader> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw blobNotFound(digest);
    throw error;
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw blobNotFound(digest);
    return new FileReader(file, stat.size);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A blob that is in memory already. */
export function bytesReader(bytes: Uint8Array): BlobReader {
  return {
    size: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
    async *stream(offset = 0) {
      if (offset < bytes.length) yield bytes.subarray(offset);
    },
    close: () => Promise.resolve(),
  };
}

/**
 * The whole of a small blob (a manifest, a config). ResourceExhausted when it is larger than `limit`: the size of a
 * descriptor is what somebody says.
 */
export async function readBlob(
  provider: ContentProvider,
  descriptor: { digest: Digest; size: number; mediaType?: string },
  options: { limit?: number; signal?: AbortSignal } = {},
): Promise<Uint8Array> {
  const limit = options.limit ?? 8 * 1024 * 1024;
  const reader = await provider.reader(descriptor, options.signal);
  try {
    const chunks: Uint8Array[] = [];
    let total = 0;
    for await (const chunk of reader.stream()) {
      throwIfAborted(options.signal);
      total += chunk.length;
      if (total > limit)
        throw new BuildError(Code.ResourceExhausted, `blob ${descriptor.digest} is larger than ${limit} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, total);
  } finally {
    await reader.close();
  }
}
