/** Signals to a process of which only the file is known that the runtime writes its number to. */
import { readFileSync } from 'node:fs';
import { sleep } from '../base/index.ts';

const PAUSE_MS = 10;
const LIMIT_MS = 7000;

/** A process that a call of the runtime runs. */
export interface RunningProcess {
  readonly pidFile: string;
  /** The call has ended, and with it the process: its number may be somebody else's by now. */
  isEnded(): boolean;
}

/** Its number as the host sees it, once the runtime has written it; undefined when the process has ended before. */
async function pidOf({ pidFile, isEnded }: RunningProcess): Promise<number | undefined> {
  for (const until = Date.now() + LIMIT_MS; !isEnded() && Date.now() < until; await sleep(PAUSE_MS)) {
    try {
      const pid = Number(readFileSync(pidFile, 'utf8'));
      if (Number.isInteger(pid) && pid > 1) return pid;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return undefined;
}

/** Waits until the process is there; one that has gone needs no signal. */
export async function sendSignal(target: RunningProcess, signal: NodeJS.Signals | number): Promise<void> {
  const pid = await pidOf(target);
  if (pid === undefined || target.isEnded()) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
