import { keepCode, keepCodeMeanwhile } from './kept-code.ts';
import type { Program } from './program.ts';

/** Takes a daemon's code once, so that the next daemon has what this one had to compile. */
export interface CodeRecorder {
  /** The daemon answers. What ran before has too little to keep, e.g. if it only shows its version. */
  started(): void;
  /** A build went well: what it needed is there from now on. */
  built(): void;
  /** Nobody waits for the daemon: if there was a build, the code is taken now, in some 20 to 50 ms. */
  idle(): void;
}

/** Where code is kept: of a daemon that has only started, and of one that has built. */
export interface KeptPaths {
  readonly start: string;
  readonly build: string;
}

/** A daemon that ends before it was idle takes its code then; one that has never built takes what it has, if there is nothing yet. */
export function recordCode(program: Program, paths: KeptPaths): CodeRecorder | undefined {
  if (program.from === paths.build) return undefined;
  program.remember();
  let started = false;
  let built = false;
  let taken = false;
  process.once('exit', (status) => {
    if (taken || status !== 0) return;
    if (built) keepCode(paths.build, program.take());
    else if (started && program.from === undefined) keepCode(paths.start, program.take());
  });
  return {
    started: () => void (started = true),
    built: () => void (built = true),
    idle: () => {
      if (taken || !built) return;
      taken = true;
      keepCodeMeanwhile(paths.build, program.take());
    },
  };
}
