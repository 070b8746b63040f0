/** Child processes. */
import { spawn } from 'node:child_process';
import type { ChildProcess as NodeChild } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import type { Readable, Writable } from 'node:stream';

export interface SpawnRequest {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Of stdin, stdout, stderr and what follows; a number is a descriptor of this process. */
  readonly stdio: readonly ('pipe' | 'ignore' | 'inherit' | number)[];
  /** Kills the process (SIGKILL) when aborted. */
  readonly signal?: AbortSignal;
  /** Makes it the leader of a group of its own, so that a terminal's signals do not reach it. */
  readonly detached?: boolean;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildProcess {
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Resolves once it was reaped. Its output may still have to be read. */
  readonly exited: Promise<ProcessExit>;
  kill(signal?: NodeJS.Signals): boolean;
}

/** What starting a process takes beside its pipes. */
const OWN_DESCRIPTORS = 4;

/** Throws EMFILE or ENFILE now: where Node runs out of descriptors in the middle of a start, it loses the pipes that it made. */
function requireDescriptors({ stdio }: SpawnRequest): void {
  const opened: number[] = [];
  try {
    const needed = OWN_DESCRIPTORS + 2 * stdio.filter((kind) => kind === 'pipe').length;
    while (opened.length < needed) opened.push(openSync(devNull, 'r'));
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}

/** Resolves when the process runs; rejects when it cannot be started (ENOENT, EACCES) or `signal` is aborted already. */
export async function spawnProcess(request: SpawnRequest): Promise<ChildProcess> {
  request.signal?.throwIfAborted();
  requireDescriptors(request);
  const child: NodeChild = spawn(request.command, [...request.args], {
    env: request.env as NodeJS.ProcessEnv | undefined,
    cwd: request.cwd,
    stdio: [...request.stdio],
    detached: request.detached ?? false,
  });
  const onAbort = (): void => void child.kill('SIGKILL');
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('exit', (code, signal) => {
      request.signal?.removeEventListener('abort', onAbort);
      resolve({ code, signal });
    });
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.once('spawn', () => {
      request.signal?.addEventListener('abort', onAbort, { once: true });
      if (request.signal?.aborted) onAbort();
      resolve({
        pid: child.pid as number,
        stdin: child.stdin,
        stdout: child.stdout,
        stderr: child.stderr,
        exited,
        kill: (signal) => child.kill(signal ?? 'SIGKILL'),
      });
    });
  });
}
