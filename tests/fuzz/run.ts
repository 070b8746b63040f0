/** One bounded run against a daemon of its own. Used by the test and by `npm run fuzz`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../system/daemon.ts';
import { makeScratch, writeContext } from '../system/scratch.ts';
import { Attacker } from './hostile-calls.ts';
import type { Tally } from './hostile-calls.ts';
import { LockedRegistry } from './hostile-session.ts';
import { Inspector } from './inspector.ts';
import { takeInventory } from './inventory.ts';
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
  const registry = await LockedRegistry.start();
  let daemon: Daemon | undefined;
  let inspector: Inspector | undefined;
  try {
    daemon = await Daemon.start(scratch.folder);
    const { address } = daemon;
    inspector = await Inspector.attach(daemon);
    // What the daemon has for all builds is there after the first one.
    const warm = writeContext(join(scratch.folder, 'warm'), { Dockerfile: 'FROM busybox\nRUN true\n' });
    await daemon.ask(...warm, ...scratch.busybox);
    const nothingIsLeft = await takeInventory(daemon, inspector);
    const attackers = Array.from(
      { length: clients },
      (_, i) => new Attacker(address, registry.host, new Random(seed * 1000 + i)),
    );
    await Promise.all(
      attackers.map(async (attacker) => {
        for (let i = 0; i < attacks / clients; i++) await attacker.attack();
        await attacker.close();
      }),
    );
    await daemon.ask('debug', 'info');
    const memory = residentMegabytes(daemon.pid);
    await nothingIsLeft();
    inspector.close();
    await daemon.stopWithoutLeaks();
    if (/unhandled/.test(daemon.log)) throw new Error(`unhandled failures:\n${daemon.log}`);
    const tally: Tally = new Map();
    for (const one of attackers) for (const [code, n] of one.tally) tally.set(code, (tally.get(code) ?? 0) + n);
    return { tally, untyped: attackers.flatMap((one) => [...one.untyped]), memory };
  } finally {
    inspector?.close();
    await registry.stop();
    await daemon?.end();
    await scratch.remove();
  }
}
