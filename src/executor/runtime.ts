/** The command line of runc. */
import { accessSync, constants, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, delimiter, join } from 'node:path';
import { BuildError, Code } from '../base/index.ts';
import { startProgram } from '../host/index.ts';
import type { ChildProcess, SpawnRequest } from '../host/index.ts';
import { removeFolder } from './remove-folder.ts';
import { settledWithin } from './settled-within.ts';

const CANDIDATES = ['buildkit-runc', 'runc'];
const MAX_LOG = 64 << 10;
const KILL_PAUSE_MS = 50;
const KILL_LIMIT_MS = 7000;
/** A call that only looks or kills; it never waits for the container. */
const CALL_LIMIT_MS = 10_000;

function find(name: string): string | undefined {
  const paths = name.includes('/')
    ? [name]
    : (process.env['PATH'] ?? '').split(delimiter).map((dir) => join(dir, name));
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    } catch {
      return false;
    }
  });
}

export class Runtime {
  readonly #names: readonly string[];
  /** Where the runtime keeps what it knows of its containers. */
  readonly stateRoot: string;
  #binary: string | undefined;

  constructor(binary: string | undefined, stateRoot: string) {
    this.#names = binary === undefined ? CANDIDATES : [binary];
    this.stateRoot = stateRoot;
  }

  #find(): string {
    for (const name of this.#names) this.#binary ??= find(name);
    if (this.#binary !== undefined) return this.#binary;
    throw new BuildError(Code.FailedPrecondition, `failed to find ${this.#names.at(-1)} binary`);
  }

  /** Starts a call that ends when its process in the container has. */
  async start(log: string, args: readonly string[], stdio: SpawnRequest['stdio']): Promise<ChildProcess> {
    return await startProgram({
      command: this.#find(),
      args: ['--root', this.stateRoot, '--log', log, '--log-format', 'json', ...args],
      stdio,
      detached: true,
    });
  }

  /** Runs a short call to its end; true when it succeeded. */
  async call(...args: string[]): Promise<boolean> {
    const child = await startProgram({
      command: this.#find(),
      args: ['--root', this.stateRoot, '--log', '/dev/null', ...args],
      stdio: ['ignore', 'ignore', 'ignore'],
      detached: true,
    });
    const timer = setTimeout(() => child.kill(), CALL_LIMIT_MS);
    try {
      return (await child.exited).code === 0;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Kills until `child`, the call that runs the container, has ended; at last that call itself. */
  async killContainer(id: string, child: ChildProcess): Promise<void> {
    const until = Date.now() + KILL_LIMIT_MS;
    for (;;) {
      // It fails while the container is not there yet.
      await this.call('kill', id, 'KILL').catch(() => false);
      if (await settledWithin(child.exited, KILL_PAUSE_MS)) return;
      if (Date.now() > until) break;
    }
    child.kill();
    await child.exited;
  }

  /**
   * Drops what the runtime keeps of a container that has ended and whose groups are gone already: as `delete` does, without
   * another process. False where that is not known to be enough.
   */
  async forget(id: string): Promise<boolean> {
    if (!basename(this.#find()).endsWith('runc')) return false;
    await removeFolder(join(this.stateRoot, id));
    return true;
  }

  async remove(id: string): Promise<void> {
    await this.call('delete', '--force', id);
  }
}

/** The runtime's own last error; undefined when it wrote none, as when only the process failed. */
export async function runtimeError(log: string): Promise<string | undefined> {
  let text: string;
  try {
    const file = await open(log, 'r');
    try {
      const { size } = await file.stat();
      const bytes = Buffer.alloc(Math.min(size, MAX_LOG));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, size - bytes.length);
      text = bytes.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  let last: string | undefined;
  for (const line of text.split('\n')) {
    try {
      const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
      if ((level === 'error' || level === 'fatal') && typeof msg === 'string') last = msg;
    } catch {
      // a line that was cut, or one that isn't the runtime's
    }
  }
  return last;
}
