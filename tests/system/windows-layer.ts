/** Reads layers of Windows images, for what tests say of them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { TarReader } from '../../src/archive/index.ts';
import type { TarHeader } from '../../src/archive/index.ts';
import { mustRun } from './process.ts';
import { project } from './scratch.ts';

export type LayerEntry = TarHeader & { readonly data: Buffer };

export function unpack(blob: Buffer): Buffer {
  if (blob.readUInt16BE(0) === 0x1f8b) return gunzipSync(blob);
  return blob.readUInt32LE(0) === 0xfd2fb528 ? zstdDecompressSync(blob) : blob;
}

/** A tar, also one packed with gzip or zstd. */
export function readTar(blob: Buffer): LayerEntry[] {
  const entries: { header: TarHeader; data: Buffer[] }[] = [];
  const reader = new TarReader({
    entry: (header) => void entries.push({ header, data: [] }),
    data: (bytes) => void entries.at(-1)?.data.push(Buffer.from(bytes)),
    entryEnd: () => {},
  });
  reader.write(unpack(blob));
  reader.end();
  return entries.map(({ header, data }) => ({ ...header, data: Buffer.concat(data) }));
}

export function namesOf(blob: Buffer): string[] {
  return readTar(blob).map(({ name }) => Buffer.from(name, 'latin1').toString());
}

/** Says `buildctl debug check-layer`; `file` is written over. */
export async function assertWindowsLayer(blob: Buffer, file: string): Promise<void> {
  writeFileSync(file, blob);
  await mustRun(join(project, 'bin/buildctl'), ['debug', 'check-layer', file]);
}
