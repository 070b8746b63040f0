import { canceled } from '../base/index.ts';
import { runProgram } from './program.ts';
import type { ProgramHooks } from './program.ts';

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
  // A reader that goes away (`| head`) is not worth a stack.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const code = await runProgram(process.argv.slice(2), process, stop.signal, hooks);
  // Pipes are written behind our back: all must be out before the process ends.
  await new Promise<void>((resolve) => void process.stdout.write('', () => resolve()));
  process.exit(code);
}
