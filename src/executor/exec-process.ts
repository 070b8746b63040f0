/** A further process in a running container. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError, Code, randomId, throwIfAborted } from '../base/index.ts';
import type { ChildProcess } from '../host/index.ts';
import { callProcess } from './call-process.ts';
import { checkEnd } from './exit.ts';
import { sendSignal } from './process-signals.ts';
import type { RunningProcess } from './process-signals.ts';
import type { Container, RunOptions } from './run-container.ts';
import { runtimeError } from './runtime.ts';
import type { Runtime } from './runtime.ts';
import { settledWithin } from './settled-within.ts';
import type { ProcessIo, ProcessMeta } from './types.ts';
import { resolveUser } from './user.ts';

const KILL_LIMIT_MS = 7000;

async function killProcess(child: ChildProcess, target: RunningProcess): Promise<void> {
  await sendSignal(target, 'SIGKILL');
  if (!(await settledWithin(child.exited, KILL_LIMIT_MS))) child.kill();
}

async function processSpec(container: Container, meta: ProcessMeta): Promise<unknown> {
  const base = container.spec?.process;
  if (base === undefined) throw new BuildError(Code.FailedPrecondition, `container ${container.id} is not running`);
  const user = meta.user === '' ? undefined : await resolveUser(container.rootfs, meta.user);
  return {
    ...base,
    args: meta.args,
    terminal: meta.tty,
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
  const exit = await callProcess(
    {
      id: container.id,
      tty: meta.tty,
      pidFile,
      start: (stdio) => runtime.start(log, args, stdio),
      kill: killProcess,
    },
    io,
    { ...options, dropOutput: AbortSignal.any([signal, container.gone.signal]) },
  );
  const failure = exit.code === 0 ? undefined : await runtimeError(log);
  checkEnd({ exit, runtimeError: failure, outOfMemory: false, validExitCodes: meta.validExitCodes, signal });
}
