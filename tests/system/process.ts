/** Runs programs for the tests: bounded by time, stopped by process id, output kept. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export interface Ended {
  /** 128 + n where a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const SIGNALS: Readonly<Record<string, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** A program that runs. Its output grows in `stdout` and `stderr`. */
export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly #command: string;
  stdout = '';
  stderr = '';

  constructor(command: string, args: readonly string[], options: { timeoutMs: number; env?: NodeJS.ProcessEnv }) {
    this.#command = `${command} ${args.join(' ')}`;
    this.child = spawn(command, args, {
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL',
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = once(this.child, 'close').then(([code, signal]: (number | string | null)[]) => ({
      code: typeof code === 'number' ? code : 128 + (SIGNALS[String(signal)] ?? 0),
      stdout: this.stdout,
      stderr: this.stderr,
    }));
    // Looked at by whoever awaits `ended`; a test that failed before must not fail twice.
    this.ended.catch(() => {});
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Waits until its output says `text`. */
  async says(text: string, timeoutMs = 30_000): Promise<void> {
    const said = (): boolean => this.stdout.includes(text) || this.stderr.includes(text);
    await until(`"${this.#command}" says "${text}"`, () => said() || this.child.exitCode !== null, timeoutMs).catch(
      (error: Error) => {
        throw new Error(`${error.message}; it said:\n${this.stdout}${this.stderr}`);
      },
    );
    if (!said()) throw new Error(`"${this.#command}" ended and never said "${text}":\n${this.stdout}${this.stderr}`);
  }
}

export function run(command: string, args: readonly string[], timeoutMs = 30_000): Promise<Ended> {
  return new Running(command, args, { timeoutMs }).ended;
}

/** Like run, for what must succeed: gives the standard output. */
export async function mustRun(command: string, args: readonly string[], timeoutMs = 30_000): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, timeoutMs);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit code ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** Asks again and again, until the answer is yes. */
export async function until(what: string, ask: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await ask())) {
    if (Date.now() > end) throw new Error(`after ${timeoutMs / 1000} s still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
