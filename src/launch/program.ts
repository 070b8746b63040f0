import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { constants, Script } from 'node:vm';
import { readCode } from './kept-code.ts';

/**
 * A program's one file, compiled: a function that gets `require` and the file's path. Kept code has all functions that ran before it was
 * taken; what Node itself keeps of CommonJS has only those that are compiled at once.
 */
export class Program {
  readonly #file: string;
  readonly #script: Script;
  /** Where the code came from that it runs with; undefined: V8 compiles it in this run. */
  readonly from: string | undefined;

  /** `kept`: files with code of it, the best first. */
  constructor(file: string, kept: readonly string[]) {
    this.#file = file;
    let cachedData: Buffer | undefined;
    const from = kept.find((path) => (cachedData = readCode(path)) !== undefined);
    // Bundles are ASCII: one byte a character, which V8 does not have to decode.
    this.#script = new Script(readFileSync(file, 'latin1'), {
      filename: file,
      cachedData,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    this.from = this.#script.cachedDataRejected === true ? undefined : from;
  }

  /** V8 forgets the code of what has not run for a while, which after a long build is nearly all of it: not until it is taken. */
  remember(): void {
    setFlagsFromString('--no-flush-bytecode');
  }

  /** All code that there is now. Takes some 20 ms. */
  take(): Buffer {
    // Kept code is held against the flags: these are those of the next run.
    setFlagsFromString('--flush-bytecode');
    return this.#script.createCachedData();
  }

  run(require: NodeJS.Require, recorder?: unknown): void {
    (this.#script.runInThisContext() as (...given: unknown[]) => void)(require, this.#file, recorder);
  }
}
