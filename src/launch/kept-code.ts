import { closeSync, fsync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** At the end of kept code: V8 runs damaged code as it is, until the process dies of it. */
const CHECKSUM_BYTES = 4;
/** 2³² divided by the golden ratio: spreads each bit over all others. */
const SPREAD = 0x9e3779b1;

/** In words of four bytes: disks and file systems lose no less than a sector, 512 bytes, at a time. */
const STRIDE = 128;

/**
 * Of a word in each sector: reading all of a client's takes 5 ms, as does loading Node's own checksums. Each step is a
 * one-to-one function of what went before. `code` begins at a multiple of 4 of its memory.
 */
function checksum(code: Buffer): number {
  const words = new Int32Array(code.buffer, code.byteOffset, code.length >> 2);
  let sum = code.length;
  for (let i = 0; i < words.length; i += STRIDE) sum = Math.imul(sum ^ words[i], SPREAD);
  return sum >>> 0;
}

/** Undefined where there is none or it is damaged. */
export function readCode(path: string): Buffer | undefined {
  try {
    const whole = readFileSync(path);
    const at = whole.length - CHECKSUM_BYTES;
    const code = whole.subarray(0, at);
    return checksum(code) === whole.readUInt32LE(at) ? code : undefined;
  } catch {
    return undefined;
  }
}

function writeDraft(draft: string, code: Buffer): number {
  mkdirSync(dirname(draft), { recursive: true });
  const fd = openSync(draft, 'wx', 0o644);
  try {
    const whole = Buffer.alloc(code.length + CHECKSUM_BYTES);
    code.copy(whole);
    whole.writeUInt32LE(checksum(whole.subarray(0, code.length)), code.length);
    for (let at = 0; at < whole.length;) at += writeSync(fd, whole, at);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The next run compiles again; what is left of this one is in nobody's way, if it cannot be removed either. */
function forget(draft: string): void {
  try {
    rmSync(draft, { force: true });
  } catch {}
}

/** Whole or not at all, also after the machine went down. A folder that this user may not write stays as it is. */
export function keepCode(path: string, code: Buffer): void {
  const draft = `${path}.${process.pid}`;
  try {
    const fd = writeDraft(draft, code);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(draft, path);
  } catch {
    forget(draft);
  }
}

/** The same, but nothing waits for the disk. */
export function keepCodeMeanwhile(path: string, code: Buffer): void {
  const draft = `${path}.${process.pid}`;
  try {
    const fd = writeDraft(draft, code);
    fsync(fd, (failed) => {
      try {
        closeSync(fd);
        if (failed !== null) throw failed;
        renameSync(draft, path);
      } catch {
        forget(draft);
      }
    });
  } catch {
    forget(draft);
  }
}
