/**
 * The listings of contents that steps read when they last ran, a file for each step. Only memory: losing one costs an
 * explanation. Written beside and renamed, so that one that is there is whole.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { randomId } from '../../base/index.ts';
import type { ListedEntry, Listing } from './listing.ts';

const MAX_FILES = 200;
const MAX_BYTES = 64 * 2 ** 20;
/** Written without looking at how many there are. */
const WRITES_PER_SWEEP = 20;
let writes = 0;

/** undefined: nothing is remembered, or nothing that can be read. */
export function recallListing(file: string): Listing | undefined {
  try {
    const text = zstdDecompressSync(readFileSync(file), { maxOutputLength: MAX_BYTES }).toString('utf8');
    return new Map(JSON.parse(text) as [string, ListedEntry][]);
  } catch {
    return undefined;
  }
}

export function rememberListing(file: string, listing: Listing): void {
  const text = JSON.stringify([...listing]);
  if (text.length > MAX_BYTES) return;
  const folder = dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const beside = join(folder, `${randomId()}.new`);
  writeFileSync(beside, zstdCompressSync(text));
  renameSync(beside, file);
  if (writes++ % WRITES_PER_SWEEP === 0) sweep(folder);
}

/** The oldest give way. */
function sweep(folder: string): void {
  const aged = readdirSync(folder).map((name) => {
    const path = join(folder, name);
    return { path, age: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 };
  });
  for (const { path } of aged.sort((a, b) => b.age - a.age).slice(MAX_FILES)) rmSync(path, { force: true });
}
