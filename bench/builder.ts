/** A daemon, this project's or upstream's, with a client, a state folder and a socket of its own. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../src/client/index.ts';
import { launch, timed } from './timed.ts';

export interface Programs {
  /** Whose daemon it is; the client may be the other's (--client). */
  readonly name: 'ours' | 'upstream';
  readonly buildkitd: string;
  readonly buildctl: string;
}

const START_MS = 60_000;
const STOP_MS = 20_000;
const POLL_MS = 1;
const env = { BUILDKIT_TS_NO_REBUILD: '1', BUILDKIT_HOST: '' };

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Builder {
  readonly programs: Programs;
  readonly #folder: string;
  #generation = 0;
  #daemon: ChildProcess | undefined;
  #builds = 0;

  constructor(programs: Programs, folder: string) {
    this.programs = programs;
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'buildkitd.toml'), '');
  }

  get address(): string {
    return `unix://${join(this.#folder, 'sock')}`;
  }

  get root(): string {
    return join(this.#folder, `root${this.#generation}`);
  }

  get pid(): number {
    if (this.#daemon?.pid === undefined) throw new Error(`${this.programs.name}: the daemon does not run`);
    return this.#daemon.pid;
  }

  /** Starts the daemon; resolves, with the seconds since then, once it has answered a call. */
  async start(): Promise<number> {
    const start = performance.now();
    const args = ['--root', this.root, '--addr', this.address, '--config', join(this.#folder, 'buildkitd.toml')];
    const log = join(this.#folder, 'buildkitd.log');
    const daemon = launch({ command: this.programs.buildkitd, args, env, log });
    this.#daemon = daemon;
    let failure: Error | undefined;
    daemon.once('error', (error) => (failure = error));
    for (;;) {
      const client = await connect(this.address).catch(() => undefined);
      if (client !== undefined) {
        await client.info();
        const seconds = (performance.now() - start) / 1000;
        await client.close();
        return seconds;
      }
      if (failure !== undefined) throw failure;
      if (daemon.exitCode !== null || performance.now() - start > START_MS) {
        throw new Error(`${this.programs.buildkitd} does not answer:\n${readFileSync(log, 'utf8').slice(-4000)}`);
      }
      await sleep(POLL_MS);
    }
  }

  async stop(): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    daemon.kill('SIGTERM');
    const killer = setTimeout(() => daemon.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(killer);
  }

  /** Ends it and starts one that has never built anything. What the old one kept stays on disk until the row ends. */
  async startAfresh(): Promise<void> {
    await this.stop();
    this.#generation++;
    await this.start();
  }

  /** Seconds of one `buildctl build` with these arguments, the client's own start and end included. */
  build(args: readonly string[], stdin?: string): Promise<number> {
    const log = join(this.#folder, `build${this.#builds++ % 64}.log`);
    const all = ['--addr', this.address, 'build', '--progress', 'plain', ...args];
    return timed({ command: this.programs.buildctl, args: all, env, stdin, log });
  }

  /** Resident memory of the daemon in MB: now, and at most since it started. */
  memory(): { now: number; peak: number } {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    const read = (field: string): number => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024;
    return { now: read('VmRSS'), peak: read('VmHWM') };
  }
}
