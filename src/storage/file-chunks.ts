import { closeSync, openSync, readSync } from 'node:fs';

const CHUNK = 1 << 20;

/** What is in an open file from where it stands, in buffers of 1 MiB that stay good. The file remains open. */
export async function* fileChunks(fd: number): AsyncGenerator<Uint8Array> {
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK);
    const n = readSync(fd, chunk, 0, CHUNK, null);
    if (n === 0) return;
    yield chunk.subarray(0, n);
  }
}

/** For worker threads: it reads synchronously. */
export async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  const fd = openSync(path, 'r');
  try {
    yield* fileChunks(fd);
  } finally {
    closeSync(fd);
  }
}
