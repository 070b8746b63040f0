import { canceled } from '../base/index.ts';
import { runProgram } from './program.ts';
import type { ProgramHooks } from './program.ts';
import { StandardOutput } from './standard-output.ts';

/** Signals after which the process ends at once. */
const PATIENCE = 3;

/**
 * The program with this process's arguments, streams and signals: the first SIGINT or SIGTERM cancels, the second skips
 * what is left to tidy, the third ends at once.
 */
export async function runMain(hooks: ProgramHooks = {}): Promise<void> {
  const stop = new AbortController();
  let signals = 0;
  const onSignal = (): void => {
    signals++;
    if (signals === 1) stop.abort(canceled());
    else if (signals >= PATIENCE) process.exit(1);
    else process.exitCode = 1;
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const streams = {
    // Opened by whoever reads it.
    get stdin() {
      return process.stdin;
    },
    stdout: new StandardOutput(1),
    stderr: new StandardOutput(2),
  };
  process.exit(await runProgram(process.argv.slice(2), streams, stop.signal, hooks));
}
