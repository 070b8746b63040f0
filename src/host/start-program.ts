/**
 * Child processes whose start the event loop does not wait for. Node's own `spawn` forks: the kernel copies the page tables of all
 * of the daemon's memory, and everybody waits until the child has got a processor and runs its program. `posix_spawn` shares the memory
 * until then, and stops only the thread that calls it.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants as system, devNull } from 'node:os';
import koffi from 'koffi';
import { cString, errnoError, fail, libcFunction } from './libc.ts';
import type { ChildProcess, ProcessExit, SpawnRequest } from './spawn-process.ts';

/** Of <spawn.h>, the same in glibc and musl. */
const SETSIGDEF = 4;
const SETSIGMASK = 8;
const SETSID = 128;
/** No less than what the C libraries' opaque structures take: 336 bytes at most. */
const OPAQUE = 512;
/** <signal.h>: 1024 signals. */
const SIGNAL_SET = 128;
const O_CLOEXEC = 0o2000000;
const WNOHANG = 1;
/** Beside the signal that tells it, which one that comes at the same time may hide. */
const LOOK_MS = 1000;

const posixSpawn = libcFunction(
  'int posix_spawnp(void *pid, void *file, void *actions, void *attributes, void *argv, void *envp)',
);
const initActions = libcFunction('int posix_spawn_file_actions_init(void *actions)');
const addDup2 = libcFunction('int posix_spawn_file_actions_adddup2(void *actions, int fd, int to)');
const destroyActions = libcFunction('int posix_spawn_file_actions_destroy(void *actions)');
const initAttributes = libcFunction('int posix_spawnattr_init(void *attributes)');
const setFlags = libcFunction('int posix_spawnattr_setflags(void *attributes, short flags)');
const setDefault = libcFunction('int posix_spawnattr_setsigdefault(void *attributes, void *set)');
const setMask = libcFunction('int posix_spawnattr_setsigmask(void *attributes, void *set)');
const destroyAttributes = libcFunction('int posix_spawnattr_destroy(void *attributes)');
const pipe2 = libcFunction('int pipe2(void *ends, int flags)');
const waitpid = libcFunction('int waitpid(int pid, void *status, int options)');

const SIGNALS = new Map(Object.entries(system.signals).map(([name, value]) => [value, name as NodeJS.Signals]));

/** As <sys/wait.h> takes it apart. */
function exitOf(status: number): ProcessExit {
  const signal = status & 0x7f;
  if (signal === 0) return { code: (status >> 8) & 0xff, signal: null };
  return { code: null, signal: SIGNALS.get(signal) ?? 'SIGKILL' };
}

/** The children that were started here and not reaped yet. Node waits for its own ones by their ids, and leaves these alone. */
class Children {
  readonly #running = new Map<number, (exit: ProcessExit) => void>();
  readonly #status = Buffer.alloc(4);
  readonly #reap = (): void => this.#reapAll();
  #timer: NodeJS.Timeout | undefined;

  exitOf(pid: number): Promise<ProcessExit> {
    const exited = new Promise<ProcessExit>((resolve) => this.#running.set(pid, resolve));
    if (this.#timer === undefined) {
      process.on('SIGCHLD', this.#reap);
      // Keeps the process alive as well, as a child of Node's does.
      this.#timer = setInterval(this.#reap, LOOK_MS);
    }
    // It may have ended before it was known here.
    this.#reapAll();
    return exited;
  }

  isRunning(pid: number): boolean {
    return this.#running.has(pid);
  }

  #reapAll(): void {
    for (const [pid, resolve] of this.#running) {
      const reaped = waitpid(pid, this.#status, WNOHANG);
      if (reaped === 0) continue;
      this.#running.delete(pid);
      // Without a status it is nobody's child any more, which only a foreign wait could bring about.
      resolve(reaped === pid ? exitOf(this.#status.readInt32LE()) : { code: null, signal: 'SIGKILL' });
    }
    if (this.#running.size > 0) return;
    process.off('SIGCHLD', this.#reap);
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

const children = new Children();

/** NUL-terminated texts and a NULL-terminated list of pointers to them, in one piece of memory that does not move. */
function pointersTo(texts: readonly string[]): Buffer {
  const list = 8 * (texts.length + 1);
  const bytes = texts.map((text) => Buffer.from(text));
  const all = Buffer.alloc(bytes.reduce((size, text) => size + text.length + 1, list));
  const base = koffi.address(all);
  let at = list;
  for (const [i, text] of bytes.entries()) {
    if (text.includes(0)) throw errnoError(system.errno.EINVAL, 'spawn', texts[i]);
    all.writeBigUInt64LE(base + BigInt(at), 8 * i);
    at += text.copy(all, at) + 1;
  }
  return all;
}

function environment(env: SpawnRequest['env']): string[] {
  return Object.entries(env ?? process.env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
}

/** Both ends of each stream. */
class Streams {
  readonly childEnds: number[] = [];
  /** Stdin is written, all others are read; null where there is no pipe. */
  readonly ownEnds: (Socket | null)[] = [];
  readonly #opened: number[] = [];

  constructor(kinds: SpawnRequest['stdio']) {
    try {
      for (const [i, kind] of kinds.entries()) {
        if (kind === 'pipe') this.#openPipe(i === 0);
        else this.#give(kind === 'ignore' ? openSync(devNull, constants.O_RDWR) : kind === 'inherit' ? i : kind, kind);
      }
    } catch (error) {
      this.closeChildEnds();
      this.destroy();
      throw error;
    }
  }

  #give(fd: number, kind: SpawnRequest['stdio'][number]): void {
    if (kind === 'ignore') this.#opened.push(fd);
    this.childEnds.push(fd);
    this.ownEnds.push(null);
  }

  #openPipe(childReads: boolean): void {
    const ends = Buffer.alloc(8);
    if (pipe2(ends, O_CLOEXEC) !== 0) fail('pipe2');
    const [reading, writing] = [ends.readInt32LE(0), ends.readInt32LE(4)];
    const [childEnd, fd] = childReads ? [reading, writing] : [writing, reading];
    this.#opened.push(childEnd);
    this.childEnds.push(childEnd);
    this.ownEnds.push(new Socket({ fd, readable: !childReads, writable: childReads }));
  }

  /** The child has copies of its own once it runs. What the caller gave stays open. */
  closeChildEnds(): void {
    for (const fd of this.#opened.splice(0)) closeSync(fd);
  }

  destroy(): void {
    for (const end of this.ownEnds) end?.destroy();
  }
}

async function start(request: StartRequest, childEnds: readonly number[]): Promise<number> {
  const [pid, actions, attributes] = [Buffer.alloc(4), Buffer.alloc(OPAQUE), Buffer.alloc(OPAQUE)];
  // `sigfillset` leaves out those that glibc's threads take, which the child would ignore then.
  const [all, none] = [Buffer.alloc(SIGNAL_SET, 0xff), Buffer.alloc(SIGNAL_SET)];
  const lists = [pointersTo([request.command, ...request.args]), pointersTo(environment(request.env))];
  initActions(actions);
  initAttributes(attributes);
  try {
    // None of ours is as low as where it goes: Node sees to it that 0 to 2 are open from the start.
    for (const [i, fd] of childEnds.entries()) addDup2(actions, fd, i);
    // Node ignores SIGPIPE, and threads of its pool may take no signals.
    setDefault(attributes, all);
    setMask(attributes, none);
    setFlags(attributes, SETSIGDEF | SETSIGMASK | (request.detached === true ? SETSID : 0));
    const errno = await new Promise<number>((resolve, reject) => {
      const file = cString(request.command);
      posixSpawn.async(pid, file, actions, attributes, ...lists, (error: Error | null, result: number) => {
        if (error === null) resolve(result);
        else reject(error);
      });
      lists.push(file);
    });
    if (errno !== 0) throw errnoError(errno, 'spawn', request.command);
    return pid.readInt32LE();
  } finally {
    // Named here, so that the lists are not collected while the other thread reads them.
    lists.length = 0;
    destroyActions(actions);
    destroyAttributes(attributes);
  }
}

/** What {@link SpawnRequest} has, without what no caller needs. */
export type StartRequest = Omit<SpawnRequest, 'cwd' | 'signal'>;

/** Resolves when the program runs; rejects when it cannot be started (ENOENT, EACCES), or its streams cannot be made (EMFILE). */
export async function startProgram(request: StartRequest): Promise<ChildProcess> {
  const streams = new Streams(request.stdio);
  let pid: number;
  try {
    pid = await start(request, streams.childEnds);
  } catch (error) {
    streams.destroy();
    throw error;
  } finally {
    streams.closeChildEnds();
  }
  const [stdin = null, stdout = null, stderr = null] = streams.ownEnds;
  return {
    pid,
    stdin,
    stdout,
    stderr,
    exited: children.exitOf(pid),
    kill: (signal) => children.isRunning(pid) && process.kill(pid, signal ?? 'SIGKILL'),
  };
}
