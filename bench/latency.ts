/** How long the daemon takes to answer while it is at work. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface Latency {
  readonly median: number;
  readonly worst: number;
}

/** Of `debug info` at `address` while `work` runs; milliseconds. */
export async function latencyDuring(address: string, work: () => Promise<unknown>): Promise<Latency> {
  const asker = spawn(process.execPath, [join(import.meta.dirname, 'asker.ts'), address], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: asker.stdout })[Symbol.asyncIterator]();
  const said = async (): Promise<string> => {
    const { done, value } = await lines.next();
    if (done === true) throw new Error('the program that asks has ended');
    return value;
  };
  try {
    await said();
    await work();
    asker.stdin.end();
    return JSON.parse(await said()) as Latency;
  } finally {
    asker.kill();
  }
}
