/**
 * A program of the machine that works for one build: it gets an environment of its own and nothing else of ours, it and
 * whatever it starts form one process group, and the group ends with the build, or with this process.
 */
import { once } from 'node:events';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { spawnProcess } from './spawn-process.ts';

export interface ProgramRequest {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Gets what the program writes to its standard output (1) and error (2); called in order, must not throw. */
  readonly onOutput: (stream: 1 | 2, data: Buffer) => void;
  /** Ends the group: SIGTERM first, SIGKILL after ten seconds. */
  readonly signal?: AbortSignal;
  /** The group is ended as well when for so long none of its processes has read, written or computed. */
  readonly idleMs?: number;
}

export interface ProgramExit {
  /** As shells have it: 127 for a program that is not there, 128 and more for one that a signal has ended. */
  readonly code: number;
  /** It was ended because it did nothing for `idleMs`. */
  readonly isStalled: boolean;
}

const PATIENCE_MS = 10_000;
const IDLE_CHECKS = 10;
const KILLED = 128 + 9;

/** Where setpriv(1) is: it has the kernel tell the shell when this process ends. undefined: not on this machine. */
let setpriv: string | undefined | null = null;

function findSetpriv(): string | undefined {
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(dir, 'setpriv');
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in that folder.
    }
  }
  return undefined;
}

/**
 * Files are made for their owner to write and for all to read, whatever this process' own mask is. The shell stays, and hands
 * the signal on to the whole group: not every program ends what it has started.
 */
const SHELL = ['sh', '-c', `trap "trap '' TERM; kill -TERM 0; exit 143" TERM; umask 0022; "$@" & wait $!`, 'sh'];

/** Resolves when the program has ended and its output is read. Rejects when `signal` is aborted already. */
export async function runProgram(request: ProgramRequest): Promise<ProgramExit> {
  if (setpriv === null) setpriv = findSetpriv();
  const guard = setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'TERM', '--'];
  const [command, ...args] = [...guard, ...SHELL, request.command, ...request.args];
  request.signal?.throwIfAborted();
  const child = await spawnProcess({
    command,
    args,
    env: request.env,
    cwd: request.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  child.stdout?.on('data', (data: Buffer) => request.onOutput(1, data));
  child.stderr?.on('data', (data: Buffer) => request.onOutput(2, data));
  const group = new ProcessGroup(child.pid);
  const onAbort = (): void => group.end();
  request.signal?.addEventListener('abort', onAbort, { once: true });
  if (request.signal?.aborted) group.end();
  const watch = request.idleMs === undefined ? undefined : group.watch(request.idleMs);
  try {
    const drained = [child.stdout, child.stderr].filter((s) => s !== null).map((s) => once(s, 'close'));
    const { code } = await child.exited;
    // Helpers that outlive it hold its output open: they have nothing left to do.
    group.endHelpers();
    await Promise.all(drained);
    return { code: code ?? KILLED, isStalled: group.isStalled };
  } finally {
    clearInterval(watch);
    request.signal?.removeEventListener('abort', onAbort);
    group.close();
  }
}

class ProcessGroup {
  readonly #id: number;
  #timer: NodeJS.Timeout | undefined;
  isStalled = false;

  constructor(id: number) {
    this.#id = id;
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.#id, signal);
    } catch {
      // Nobody is left in it.
    }
  }

  end(): void {
    this.#signal('SIGTERM');
    this.#timer ??= setTimeout(() => this.#signal('SIGKILL'), PATIENCE_MS);
  }

  endHelpers(): void {
    this.#signal('SIGKILL');
  }

  watch(idleMs: number): NodeJS.Timeout {
    let last = '';
    let idle = 0;
    const timer = setInterval(() => {
      const now = this.#activity();
      idle = now === last ? idle + 1 : 0;
      last = now;
      if (idle < IDLE_CHECKS) return;
      this.isStalled = true;
      this.end();
    }, idleMs / IDLE_CHECKS);
    timer.unref();
    return timer;
  }

  /** Changes whenever a process of the group has done anything. */
  #activity(): string {
    const seen: string[] = [];
    for (const pid of readdirSync('/proc')) {
      if (!/^\d+$/.test(pid)) continue;
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
        // After the name, which may hold anything: state, parent, group and, as 12th and 13th, user and system time.
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (fields[2] !== String(this.#id)) continue;
        const io = readFileSync(`/proc/${pid}/io`, 'latin1');
        seen.push(`${pid} ${fields[11]} ${fields[12]} ${io}`);
      } catch {
        // It ended meanwhile.
      }
    }
    return seen.join('\n');
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
