/** The file of a download, read again: its digest by another algorithm, or with bytes after it. */
import { createHash } from 'node:crypto';
import { closeSync, constants, read } from 'node:fs';
import { promisify } from 'node:util';
import { throwIfAborted, wrapError } from '../../base/index.ts';
import { openInRoot } from '../../host/index.ts';
import { mountLocally } from '../../storage/index.ts';
import type { ImmutableRef } from '../../storage/types.ts';

const READ_BYTES = 1024 * 1024;
const readSome = promisify(read);

/** The bytes of a file at the top of the record's tree; each piece is good until the next is asked for. */
export async function* readFile(ref: ImmutableRef, name: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const mounted = await mountLocally(ref, { readonly: true }).catch((error: unknown) => {
    throw wrapError(error, 'failed to mount http source reference');
  });
  try {
    const fd = open(mounted.dir, name);
    try {
      const buffer = Buffer.allocUnsafe(READ_BYTES);
      for (;;) {
        throwIfAborted(signal);
        const { bytesRead } = await readSome(fd, buffer, 0, READ_BYTES, null);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      closeSync(fd);
    }
  } finally {
    await mounted.release();
  }
}

function open(dir: string, name: string): number {
  try {
    return openInRoot(dir, name, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    throw wrapError(error, 'failed to open http source payload');
  }
}

/** `<algorithm>:<hex>` of the bytes and then the suffix. */
export async function digestBytes(
  bytes: AsyncIterable<Uint8Array>,
  algorithm: string,
  suffix: Uint8Array = new Uint8Array(),
): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of bytes) hash.update(chunk);
  return `${algorithm}:${hash.update(suffix).digest('hex')}`;
}
