/** A further process in a running container. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError, Code, logger, randomId, sleep, throwIfAborted } from '../base/index.ts';
import type { ChildProcess } from '../host/index.ts';
import { checkEnd } from './exit.ts';
import { forward, stdioOf, wire } from './process-io.ts';
import type { Container, RunOptions } from './run-container.ts';
import { runtimeError } from './runtime.ts';
import type { Runtime } from './runtime.ts';
import { settledWithin } from './settled-within.ts';
import type { ProcessIo, ProcessMeta } from './types.ts';
import { resolveUser } from './user.ts';

const PID_PAUSE_MS = 10;
const KILL_LIMIT_MS = 7000;

/** Its number as the host sees it, once the runtime has written it; undefined when the process has ended before. */
async function pidOf(file: string, isEnded: () => boolean): Promise<number | undefined> {
  for (const until = Date.now() + KILL_LIMIT_MS; !isEnded() && Date.now() < until; await sleep(PID_PAUSE_MS)) {
    try {
      const pid = Number(readFileSync(file, 'utf8'));
      if (Number.isInteger(pid) && pid > 1) return pid;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return undefined;
}

async function send(file: string, isEnded: () => boolean, signal: NodeJS.Signals): Promise<void> {
  const pid = await pidOf(file, isEnded);
  if (pid === undefined || isEnded()) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function killProcess(file: string, child: ChildProcess, isEnded: () => boolean): Promise<void> {
  await send(file, isEnded, 'SIGKILL');
  if (!(await settledWithin(child.exited, KILL_LIMIT_MS))) child.kill();
}

async function processSpec(container: Container, meta: ProcessMeta): Promise<unknown> {
  const base = container.spec?.process;
  if (base === undefined) throw new BuildError(Code.FailedPrecondition, `container ${container.id} is not running`);
  const user = meta.user === '' ? undefined : await resolveUser(container.rootfs, meta.user);
  return {
    ...base,
    args: meta.args,
    terminal: false,
    ...(meta.cwd === '' ? {} : { cwd: meta.cwd }),
    ...(meta.env.length === 0 ? {} : { env: meta.env }),
    ...(user === undefined ? {} : { user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids } }),
  };
}

export async function execProcess(
  runtime: Runtime,
  container: Container,
  meta: ProcessMeta,
  io: ProcessIo,
  options: RunOptions,
): Promise<void> {
  if (meta.tty) throw new BuildError(Code.Unimplemented, 'terminals are not supported');
  const { signal } = options;
  // It goes with the bundle.
  const directory = join(container.bundle, `exec-${randomId()}`);
  mkdirSync(directory, { mode: 0o700 });
  const [log, pidFile, spec] = ['log.json', 'pid', 'process.json'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(spec, JSON.stringify(await processSpec(container, meta)), { mode: 0o600 });
  throwIfAborted(signal);
  const args = ['exec', '--process', spec, '--pid-file', pidFile, container.id];
  const child = await runtime.start(log, args, stdioOf(io));
  let ended = false;
  const exited = child.exited.finally(() => (ended = true));
  const isEnded = (): boolean => ended;
  options.onStarted?.();
  const wired = wire(child, io, AbortSignal.any([signal, container.gone.signal]));
  let killing: Promise<void> | undefined;
  const kill = (): void => {
    killing ??= killProcess(pidFile, child, isEnded);
    killing.catch(() => {});
  };
  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();
  wired.output.catch(kill);
  const signals = forward(io.signals, exited, (name) => send(pidFile, isEnded, name as NodeJS.Signals));
  signals.catch((error: unknown) => logger.warn('signal could not be forwarded', { id: container.id, error }));
  try {
    const exit = await exited;
    await killing;
    await wired.output;
    const failure = exit.code === 0 ? undefined : await runtimeError(log);
    checkEnd({ exit, runtimeError: failure, outOfMemory: false, validExitCodes: meta.validExitCodes, signal });
  } finally {
    wired.stopInput();
    signal.removeEventListener('abort', kill);
  }
}
