/** A body becomes a file, as it comes: only what is on its way to the disk is in memory. */
import { closeSync, constants, fchmodSync, fchownSync, futimesSync, write } from 'node:fs';
import { promisify } from 'node:util';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { BuildError, Code, throwIfAborted } from '../../base/index.ts';
import { openInRoot } from '../../host/index.ts';
import { DigestHasher } from '../../oci/index.ts';
import type { Digest } from '../../oci/index.ts';

export interface FileOptions {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeMs: number;
  readonly gzipped: boolean;
  readonly signal: AbortSignal;
}

const WRITE_BYTES = 1024 * 1024;
const writeSome = promisify(write);

/** `name` must not be there yet. The digest is of what the file holds. */
export async function saveFile(dir: string, body: AsyncIterable<Uint8Array>, options: FileOptions): Promise<Digest> {
  const { name, mode, uid, gid, mtimeMs, signal } = options;
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const fd = openInRoot(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    const digest = await writeBody(fd, options.gzipped ? unzipped(body, signal) : body, signal);
    if (uid !== 0 || gid !== 0) fchownSync(fd, uid, gid);
    fchmodSync(fd, mode);
    futimesSync(fd, mtimeMs / 1000, mtimeMs / 1000);
    return digest;
  } finally {
    closeSync(fd);
  }
}

/** Small chunks are gathered into writes of 1 MiB. */
async function writeBody(fd: number, body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Digest> {
  const hasher = new DigestHasher();
  const buffer = Buffer.allocUnsafe(WRITE_BYTES);
  let buffered = 0;
  const writeAll = async (bytes: Uint8Array): Promise<void> => {
    for (let at = 0; at < bytes.length;) at += (await writeSome(fd, bytes, at, bytes.length - at, null)).bytesWritten;
  };
  for await (const chunk of body) {
    throwIfAborted(signal);
    hasher.update(chunk);
    if (buffered + chunk.length > WRITE_BYTES) {
      await writeAll(buffer.subarray(0, buffered));
      buffered = 0;
    }
    if (chunk.length > WRITE_BYTES) await writeAll(chunk);
    else {
      buffer.set(chunk, buffered);
      buffered += chunk.length;
    }
  }
  await writeAll(buffer.subarray(0, buffered));
  return hasher.digest();
}

async function* unzipped(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  let failure: unknown;
  const fed = pipeline(body, gunzip, { signal }).catch((error: unknown) => (failure = error));
  try {
    yield* gunzip as AsyncIterable<Uint8Array>;
  } catch (error) {
    failure ??= error;
  } finally {
    gunzip.destroy();
    await fed;
  }
  throwIfAborted(signal);
  if (failure !== undefined) throw gzipFailure(failure);
}

/** In Go's words. */
function gzipFailure(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'Z_BUF_ERROR') return new BuildError(Code.Unknown, 'unexpected EOF', { cause: error });
  if (code === 'Z_DATA_ERROR') return new BuildError(Code.Unknown, 'gzip: invalid header', { cause: error });
  return error;
}
