/** Debian's docker-registry on a loopback port of its own, until it is disposed of. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from './timed.ts';

const START_MS = 15_000;

export class Registry implements AsyncDisposable {
  readonly host: string;
  readonly #folder: string;
  readonly #process: ChildProcess;

  private constructor(host: string, folder: string, process: ChildProcess) {
    this.host = host;
    this.#folder = folder;
    this.#process = process;
  }

  static async start(folder: string): Promise<Registry> {
    mkdirSync(folder);
    const config = join(folder, 'config.yml');
    const data = JSON.stringify(join(folder, 'data'));
    writeFileSync(
      config,
      `version: 0.1\nlog: { level: info }\nstorage: { filesystem: { rootdirectory: ${data} } }\nhttp: { addr: "127.0.0.1:0" }\n`,
    );
    const log = join(folder, 'log');
    const process = launch({ command: 'docker-registry', args: ['serve', config], log });
    const end = performance.now() + START_MS;
    while (performance.now() < end && process.exitCode === null) {
      const port = /listening on 127\.0\.0\.1:(\d+)/.exec(readFileSync(log, 'utf8'))?.[1];
      if (port !== undefined) return new Registry(`127.0.0.1:${port}`, folder, process);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    process.kill('SIGKILL');
    throw new Error(`docker-registry does not start:\n${readFileSync(log, 'utf8')}`);
  }

  /** A shell line that uploads a blob. */
  curlPush(file: string): string {
    return [
      `digest=$(sha256sum '${file}' | cut -d ' ' -f 1)`,
      `at=$(curl -s -i -X POST http://${this.host}/v2/image/blobs/uploads/ | tr -d '\\r' | sed -n 's/^Location: //Ip')`,
      `curl -s -f -X PUT -H 'Content-Type: application/octet-stream' -T '${file}' "$at&digest=sha256:$digest"`,
    ].join('; ');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
