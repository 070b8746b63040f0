import { createReadStream } from 'node:fs';
import { decompress } from '../../archive/index.ts';

const BLOCK = 512;
const CHECKSUM = [148, 156] as const;

/** Does it begin with a tar header? The checksum covers the block with spaces in the checksum's place. */
export function isTarHeader(block: Uint8Array): boolean {
  if (block.length < BLOCK) return false;
  const [start, end] = CHECKSUM;
  const text = Buffer.from(block.subarray(start, end))
    .toString('latin1')
    .replace(/[\0 ]+$/, '')
    .trim();
  if (!/^[0-7]+$/.test(text)) return false;
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= start && i < end ? 32 : (block[i] as number);
  return sum === Number.parseInt(text, 8);
}

/** A tar, maybe compressed. What cannot be read as one is none. */
export async function isArchive(file: string): Promise<boolean> {
  const input = createReadStream(file, { highWaterMark: 64 * 1024 });
  const parts: Uint8Array[] = [];
  let have = 0;
  try {
    for await (const chunk of decompress(input)) {
      parts.push(chunk);
      have += chunk.length;
      if (have >= BLOCK) break;
    }
    return isTarHeader(Buffer.concat(parts));
  } catch {
    return false;
  } finally {
    input.destroy();
  }
}
