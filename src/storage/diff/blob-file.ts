import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { GzipWriter, ZstdWriter } from '../../archive/index.ts';
import type { CompressedWriter } from '../../archive/index.ts';
import { unimplemented } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';
import type { Compression, Digest } from '../../oci/types.ts';
import type { WrittenLayer } from './types.ts';

const PROGRESS_MS = 200;

function hexDigest(hash: { digest(encoding: 'hex'): string }): Digest {
  return `sha256:${hash.digest('hex')}` as Digest;
}

/** buildkit's levels for zstd are those of the command line, 0 and up; out of range is the nearest. */
function writerFor(
  compression: Pick<Compression, 'type' | 'level'>,
  sink: (bytes: Uint8Array) => void,
): CompressedWriter {
  const { type, level } = compression;
  switch (type) {
    case 'uncompressed':
      return { write: async (bytes) => sink(bytes), end: async () => {} };
    case 'gzip':
      return level === undefined ? new GzipWriter(sink) : new GzipWriter(sink, Math.max(0, Math.min(9, level)));
    case 'zstd':
      return level === undefined ? new ZstdWriter(sink) : new ZstdWriter(sink, Math.max(1, Math.min(22, level)));
    default:
      throw unimplemented(`compression ${type} is not supported`);
  }
}

/**
 * Compresses and digests a tar on its way into a new file, which is fsynced. Whatever fails, the file is removed. Reports the
 * tar's bytes so far as messages.
 */
export async function writeBlobFile(
  path: string,
  compression: Pick<Compression, 'type' | 'level'>,
  tar: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  context: JobContext,
): Promise<WrittenLayer> {
  const fd = openSync(path, 'wx', 0o600);
  let open = true;
  try {
    const digest = createHash('sha256');
    const diffId = createHash('sha256');
    let size = 0;
    let uncompressedSize = 0;
    let reported = Date.now();
    const writer = writerFor(compression, (bytes) => {
      // Blocks that were being compressed when the work failed come late, and the number may be another file's by then.
      if (!open) return;
      digest.update(bytes);
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
      size += bytes.length;
    });
    for await (const chunk of tar) {
      context.check();
      diffId.update(chunk);
      uncompressedSize += chunk.length;
      await writer.write(chunk);
      const now = Date.now();
      if (now - reported >= PROGRESS_MS) {
        reported = now;
        context.emit(uncompressedSize);
      }
    }
    await writer.end();
    fsyncSync(fd);
    return { digest: hexDigest(digest), size, diffId: hexDigest(diffId), uncompressedSize };
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    open = false;
    closeSync(fd);
  }
}
