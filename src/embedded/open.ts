import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { configureLog, sleep, throwIfAborted, toBuildError, wrapError } from '../base/index.ts';
import type { Client, connect } from '../client/index.ts';
import { DEFAULT_CONFIG, loadConfig, startDaemon } from '../daemon/index.ts';
import { openDoor } from './door.ts';

/** The program's own way to a daemon: this folder is loaded beside it and has no client. */
export type Connect = typeof connect;

export interface Embedded {
  readonly client: Client;
  /** For the process that has the daemon: waits for the builds of others, then ends it. */
  close(): Promise<void>;
}

/** For another buildctl that is starting or ending a daemon on the same root. */
const PATIENCE_MS = 10_000;
const STEP_MS = 200;

async function joinOther(connect: Connect, address: string, signal: AbortSignal): Promise<Client | undefined> {
  try {
    return await connect(address, { timeoutMs: PATIENCE_MS, signal });
  } catch {
    throwIfAborted(signal);
    return undefined;
  }
}

/**
 * Joins the daemon of another buildctl on the default root, or starts one. Throws the daemon's own error when it cannot
 * start, e.g. because a buildkitd has the root.
 */
export async function openEmbedded(connect: Connect, signal: AbortSignal): Promise<Embedded> {
  // The daemon's talk is not the build's: only what is wrong with it is shown.
  configureLog({ level: 'error' });
  const config = loadConfig(DEFAULT_CONFIG);
  // Nobody else may come in: the folder is what keeps others away from the sockets.
  const folder = join(config.root, 'embedded');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const doorPath = join(folder, 'buildkitd.sock');
  const innerPath = join(folder, 'daemon.sock');
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const joined = await joinOther(connect, `unix://${doorPath}`, signal);
    if (joined !== undefined) return { client: joined, close: () => Promise.resolve() };
    try {
      const daemon = await startDaemon({ ...config, addresses: [`unix://${innerPath}`] });
      return await serveOthers(connect, doorPath, innerPath, daemon, signal);
    } catch (error) {
      // Perhaps another one was faster: then there is somebody to join.
      const busy = /lock|another instance/i.test(toBuildError(error).message);
      if (!busy || Date.now() > until) throw wrapError(error, 'no daemon answers and none can be started here');
      await sleep(STEP_MS, signal);
    }
  }
}

async function serveOthers(
  connect: Connect,
  doorPath: string,
  innerPath: string,
  daemon: { close(): Promise<void> },
  signal: AbortSignal,
): Promise<Embedded> {
  try {
    const client = await connect(`unix://${innerPath}`, { signal });
    const door = await openDoor(doorPath, innerPath);
    return {
      client,
      close: async () => {
        await door.close();
        await daemon.close();
      },
    };
  } catch (error) {
    await daemon.close();
    throw error;
  }
}
