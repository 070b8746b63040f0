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

function readCode(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
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
      for (let at = 0; at < code.length;) at += writeSync(fd, code, at);
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
