/** One bounded run against a daemon of its own. Used by the test and by `npm run fuzz`. */
import { readFileSync } from 'node:fs';
import { Daemon } from '../system/daemon.ts';
import { makeScratch } from '../system/scratch.ts';
import { Attacker } from './hostile-calls.ts';
import type { Tally } from './hostile-calls.ts';
import { Random } from './random.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly attacks: number;
  /** Clients at a time; with one a run is the same every time. */
  readonly clients: number;
}

export interface FuzzReport {
  readonly tally: Tally;
  readonly untyped: readonly string[];
  /** Of the daemon at its end, in MB. */
  readonly memory: number;
}

function residentMegabytes(pid: number): number {
  const [, kb] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kb) / 1024);
}

/** Fails when the daemon ends, does not answer, or holds something of any build afterwards. */
export async function fuzz({ seed, attacks, clients }: FuzzOptions): Promise<FuzzReport> {
  const scratch = await makeScratch();
  let daemon: Daemon | undefined;
  try {
    daemon = await Daemon.start(scratch.folder);
    const attackers = Array.from(
      { length: clients },
      (_, i) => new Attacker((daemon as Daemon).address, new Random(seed * 1000 + i)),
    );
    await Promise.all(
      attackers.map(async (attacker) => {
        for (let i = 0; i < attacks / clients; i++) await attacker.attack();
        await attacker.close();
      }),
    );
    await daemon.ask('debug', 'info');
    const memory = residentMegabytes(daemon.pid);
    await daemon.stopWithoutLeaks();
    if (/unhandled/.test(daemon.log)) throw new Error(`unhandled failures:\n${daemon.log}`);
    const tally: Tally = new Map();
    for (const one of attackers) for (const [code, n] of one.tally) tally.set(code, (tally.get(code) ?? 0) + n);
    return { tally, untyped: attackers.flatMap((one) => [...one.untyped]), memory };
  } finally {
    await daemon?.end();
    await scratch.remove();
  }
}
