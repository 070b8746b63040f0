/** How long the daemon takes to answer while it is at work. */
import type { Builder } from './builder.ts';
import { median } from './statistics.ts';

const EVERY_MS = 20;

export interface Latency {
  readonly median: number;
  readonly worst: number;
}

/** Asks `debug info` every 20 ms over one connection while `work` runs; milliseconds. */
export async function latencyDuring(builder: Builder, work: () => Promise<unknown>): Promise<Latency> {
  const client = await builder.connect();
  const answers: number[] = [];
  let working = true;
  const asking = (async () => {
    while (working) {
      const start = performance.now();
      await client.info();
      answers.push(performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  })();
  try {
    await Promise.all([work().finally(() => (working = false)), asking]);
  } finally {
    await client.close();
  }
  return { median: median(answers), worst: Math.max(...answers) };
}
