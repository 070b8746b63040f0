/**
 * What Node starts as buildctl: runs the program's one file with the code that V8 made of it in an earlier run. Such code
 * has all functions that ran in that run; what Node itself keeps of CommonJS has only those that are compiled at once.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { constants, Script } from 'node:vm';

/** The bundle, beside this file. Its name is made from its content: V8 compares nothing but the length. */
declare const PROGRAM: string;

/** Commands need different code: each has its own. */
const COMMANDS = ['build', 'b', 'debug', 'du', 'prune', 'prune-histories', 'dial-stdio'];

/** At the end of kept code: V8 runs damaged code as it is, until the process dies of it. */
const CHECKSUM_BYTES = 4;
/** 2³² divided by the golden ratio: spreads each bit over all others. */
const SPREAD = 0x9e3779b1;

/** In words of four bytes: disks and file systems lose more than 64 bytes at a time. */
const STRIDE = 16;

/**
 * Of a word in each 64 bytes: reading them all takes 5 ms, as does loading Node's own checksums. Each step is a
 * one-to-one function of what went before. `code` begins at a multiple of 4 of its memory.
 */
function checksum(code: Buffer): number {
  const words = new Int32Array(code.buffer, code.byteOffset, code.length >> 2);
  let sum = code.length;
  for (let i = 0; i < words.length; i += STRIDE) sum = Math.imul(sum ^ words[i], SPREAD);
  return sum >>> 0;
}

function readCode(path: string): Buffer | undefined {
  try {
    const whole = readFileSync(path);
    const at = whole.length - CHECKSUM_BYTES;
    const code = whole.subarray(0, at);
    return checksum(code) === whole.readUInt32LE(at) ? code : undefined;
  } catch {
    return undefined;
  }
}

/** Whole or not at all, also after the machine went down. A folder that this user may not write stays as it is. */
function keepCode(path: string, code: Buffer): void {
  const draft = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const fd = openSync(draft, 'wx', 0o644);
    try {
      const whole = Buffer.alloc(code.length + CHECKSUM_BYTES);
      code.copy(whole);
      whole.writeUInt32LE(checksum(whole.subarray(0, code.length)), code.length);
      for (let at = 0; at < whole.length;) at += writeSync(fd, whole, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(draft, path);
  } catch {
    // The next run compiles again; what is left of this one is in nobody's way, if it cannot be removed either.
    try {
      rmSync(draft, { force: true });
    } catch {}
  }
}

const file = join(__dirname, PROGRAM);
const command = process.argv.find((word) => COMMANDS.includes(word)) ?? 'none';
const kept = join(__dirname, 'cache', `${PROGRAM}.${command}`);
const cachedData = readCode(kept);
// Bundles are ASCII: one byte a character, which V8 does not have to decode.
const script = new Script(readFileSync(file, 'latin1'), {
  filename: file,
  cachedData,
  importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
});
if (cachedData === undefined || script.cachedDataRejected === true) {
  // V8 forgets the code of what has not run for a while, which after a long build is nearly all of it.
  setFlagsFromString('--no-flush-bytecode');
  process.once('exit', (status) => {
    // Kept code is held against the flags: these are those of the next run.
    setFlagsFromString('--flush-bytecode');
    // Of a run that went wrong something is missing.
    if (status === 0) keepCode(kept, script.createCachedData());
  });
}
(script.runInThisContext() as (load: NodeJS.Require, path: string) => void)(require, file);
