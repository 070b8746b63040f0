/** Runs programs and says how long they took. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** No single command of a row takes longer. */
const LIMIT_MS = 15 * 60_000;

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** A file to read from. */
  readonly stdin?: string;
  /** Where it writes; what it said is told when it fails. */
  readonly log: string;
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code));
  });
}

/** Settings of Node that this very process was given are not part of what is measured. */
function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_')));
}

/** Starts it, its output going to a file, so that reading it costs nothing here. */
export function launch({ command, args, env, stdin, log }: Command): ChildProcess {
  const out = openSync(log, 'w');
  const input = stdin === undefined ? 'ignore' : openSync(stdin, 'r');
  try {
    return spawn(command, [...args], { env: { ...inherited(), ...env }, stdio: [input, out, out] });
  } finally {
    closeSync(out);
    if (typeof input === 'number') closeSync(input);
  }
}

/** Seconds from its start to its end. Throws with its output when it fails. */
export async function timed(command: Command): Promise<number> {
  const start = performance.now();
  const child = launch(command);
  const killer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  try {
    const code = await exitOf(child);
    const seconds = (performance.now() - start) / 1000;
    if (code !== 0) {
      const said = readFileSync(command.log, 'utf8').slice(-4000);
      throw new Error(`${command.command} ${command.args.join(' ')}: exit code ${code}\n${said}`);
    }
    return seconds;
  } finally {
    clearTimeout(killer);
  }
}

/** Seconds that `work` takes. */
export async function clocked(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
