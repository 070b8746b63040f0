/**
 * A buildkitd of a test's own, below a temporary folder: starts it, talks to it with buildctl, ends it by its process id
 * and fails when it leaves anything behind.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRuncExecutor } from '../../src/executor/index.ts';
import { mountsBelow, project } from './scratch.ts';
import { Running, until } from './process.ts';
import type { Ended } from './process.ts';

/** No single step of a test takes longer; the programs are killed then. */
const BUILD_MS = 60_000;
const START_MS = 30_000;
const STOP_MS = 20_000;
const env = { BUILDKIT_TS_NO_REBUILD: '1', BUILDKIT_HOST: '', PROGRESS_NO_TRUNC: '1' };

export interface UsageEntry {
  readonly id: string;
  readonly inUse: boolean;
  readonly size: number;
  readonly recordType: string;
  readonly description: string;
}

export class Daemon {
  readonly root: string;
  readonly address: string;
  readonly #flags: readonly string[];
  #running: Running;

  private constructor(folder: string, flags: readonly string[]) {
    this.root = join(folder, 'root');
    this.address = `unix://${join(folder, 'sock')}`;
    this.#flags = flags;
    this.#running = this.#launch(folder);
  }

  /** Starts one whose state is below `folder`; resolves when it answers. */
  static async start(folder: string, ...flags: string[]): Promise<Daemon> {
    const daemon = new Daemon(folder, flags);
    await daemon.#answers();
    return daemon;
  }

  #launch(folder: string): Running {
    const args = ['--root', join(folder, 'root'), '--addr', `unix://${join(folder, 'sock')}`];
    args.push('--config', join(folder, 'buildkitd.toml'), ...this.#flags);
    // What looks inside finds a port of its own (tests/fuzz/inspector.ts).
    const inspectable = { ...env, NODE_OPTIONS: '--inspect-port=0' };
    return new Running(join(project, 'bin/buildkitd'), args, { timeoutMs: 280_000, env: inspectable });
  }

  get pid(): number {
    return this.#running.child.pid as number;
  }

  /** What it said so far. */
  get log(): string {
    return this.#running.stderr;
  }

  async #answers(): Promise<void> {
    const ask = async (): Promise<boolean> => {
      if (this.#running.child.exitCode !== null) throw new Error(`the daemon ended at once:\n${this.log}`);
      return (await this.buildctl(['--timeout', '1'], ['debug', 'info'])).code === 0;
    };
    await until('the daemon answers', ask, START_MS).catch((error: Error) => {
      this.#running.signal('SIGKILL');
      throw new Error(`${error.message}\n${this.log}`);
    });
  }

  /** Starts buildctl without waiting for its end. */
  spawnBuildctl(args: readonly string[], globals: readonly string[] = []): Running {
    const all = ['--addr', this.address, ...globals, ...args];
    return new Running(join(project, 'bin/buildctl'), all, { timeoutMs: BUILD_MS, env });
  }

  buildctl(globals: readonly string[], args: readonly string[]): Promise<Ended> {
    return this.spawnBuildctl(args, globals).ended;
  }

  /** buildctl with these arguments, which must succeed: its standard output. */
  async ask(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.buildctl([], args);
    if (code !== 0) throw new Error(`buildctl ${args.join(' ')}: exit code ${code}\n${stdout}${stderr}\n${this.log}`);
    return stdout;
  }

  async usage(): Promise<UsageEntry[]> {
    // No records at all are Go's nil.
    return (JSON.parse(await this.ask('du', '--format', '{{json .}}')) as UsageEntry[] | null) ?? [];
  }

  /** Ends it as a crash would, and leaves what it left. */
  async kill(): Promise<void> {
    this.#running.signal('SIGKILL');
    await this.#running.ended;
  }

  /** Starts it again on the same root, after kill(). */
  async restart(): Promise<void> {
    this.#running = this.#launch(join(this.root, '..'));
    await this.#answers();
  }

  /** For afterwards, whatever happened: ends it and what it had started, without looking for leaks. */
  async end(): Promise<void> {
    if (this.#running.child.exitCode === null && this.#running.child.signalCode === null) await this.kill();
    // A daemon that was killed leaves containers and their groups to its successor, and here there is none.
    const executor = createRuncExecutor({ root: join(this.root, 'executor') });
    await executor.killLeftovers();
    await executor.close();
  }

  /** The leak check, then the orderly end: nothing in use, no mount, no process, no socket. */
  async stopWithoutLeaks(): Promise<void> {
    let used: UsageEntry[] = [];
    const idle = async (): Promise<boolean> => (used = (await this.usage()).filter((u) => u.inUse)).length === 0;
    await until('nothing is in use', idle).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(used)}`);
    });
    await until('no mounts while idle', () => mountsBelow(this.root).length === 0).catch((error: Error) => {
      throw new Error(`${error.message}: ${mountsBelow(this.root).join(' ')}`);
    });
    await this.stop();
  }

  /** The orderly end alone: of it no mount, no process and no error may be left. */
  async stop(): Promise<void> {
    this.#running.signal('SIGTERM');
    const { child } = this.#running;
    await until('the daemon ends on SIGTERM', () => child.exitCode !== null || child.signalCode !== null, STOP_MS);
    await this.#running.ended;
    if (child.exitCode !== 0)
      throw new Error(`the daemon ended with ${child.exitCode ?? child.signalCode}:\n${this.log}`);
    const mounts = mountsBelow(this.root);
    if (mounts.length > 0) throw new Error(`mounts are left: ${mounts.join(' ')}`);
    const bad = processesWith(this.root);
    if (bad.length > 0) throw new Error(`processes are left: ${bad.join(' ')}`);
  }
}

/** Ids of processes whose command line contains `text`. */
export function processesWith(text: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').includes(text);
    } catch {
      return false; // It ended meanwhile.
    }
  });
}
