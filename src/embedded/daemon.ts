/**
 * The process beside buildctl that is its daemon. It says on its standard output where it answers, in one line of JSON, and ends
 * when its standard input, which buildctl holds, has ended and the last guest has gone.
 */
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { configureLog, logger, sleep, toBuildError, wrapError } from '../base/index.ts';
import { DEFAULT_CONFIG, loadConfig, startDaemon } from '../daemon/index.ts';
import type { CodeRecorder } from '../launch/index.ts';
import type { Answer } from './answer.ts';
import { openDoor } from './door.ts';

/** Given by src/launch to the bundle; sources that Node runs as they are have none. */
declare const $recorder: CodeRecorder | undefined;

/** For another buildctl that is starting or ending a daemon on the same root. */
const PATIENCE_MS = 10_000;
const STEP_MS = 200;

function say(answer: Answer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

/** Whether somebody answers at the socket `path`. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

const ownerGone = new Promise<void>((resolve) => {
  process.stdin
    .once('close', resolve)
    .once('error', () => resolve())
    .resume();
});

async function serve(): Promise<void> {
  // The daemon's talk is not the build's: only what is wrong with it is shown.
  configureLog({ level: 'error' });
  const recorder = typeof $recorder === 'undefined' ? undefined : $recorder;
  const config = loadConfig(DEFAULT_CONFIG);
  // Nobody else may come in: the folder is what keeps others away from the sockets.
  const folder = join(config.root, 'embedded');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const doorPath = join(folder, 'buildkitd.sock');
  const inner = join(folder, 'daemon.sock');
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    if (await isServed(doorPath)) return say({ kind: 'ready', address: `unix://${doorPath}` });
    try {
      const daemon = await startDaemon({ ...config, addresses: [`unix://${inner}`] }, recorder);
      try {
        recorder?.started();
        const door = await openDoor(doorPath, inner);
        say({ kind: 'ready', address: `unix://${inner}` });
        await ownerGone;
        await door.close();
      } finally {
        await daemon.close();
      }
      return;
    } catch (error) {
      // Perhaps another one was faster: then there is somebody to join.
      const busy = /another instance running/.test(toBuildError(error).message);
      if (!busy || Date.now() > until) throw wrapError(error, 'no daemon answers and none can be started here');
      await sleep(STEP_MS);
    }
  }
}

// Something that nobody waited for went wrong: the state is not known any more.
const dump = (error: unknown): void => {
  logger.error('unhandled failure, the daemon ends', { error: (error as Error)?.stack ?? error });
  process.exit(70);
};
process.on('unhandledRejection', dump);
process.on('uncaughtException', dump);
// Whoever stops it ends its owner's build, which ends it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void process.stdin.destroy());

serve().then(
  () => process.exit(0),
  (thrown: unknown) => {
    const { code, message } = toBuildError(thrown);
    say({ kind: 'failed', code, message });
    process.exit(1);
  },
);
