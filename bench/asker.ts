/**
 * Asks a daemon `debug info` every 20 ms until its standard input ends, then prints how long the answers took (milliseconds, JSON). A program
 * of its own, ahead of others where that is allowed: it measures how long the daemon takes, not how long it waits for a processor itself,
 * nor how long starting twenty clients takes whoever starts them.
 */
import { setPriority } from 'node:os';
import { connect } from '../src/client/index.ts';
import { median } from './statistics.ts';

const EVERY_MS = 20;
const AHEAD = -15;

try {
  setPriority(AHEAD);
} catch {
  // Not root: the figures have its own waits in them.
}
const client = await connect(process.argv[2]);
const answers: number[] = [];
let working = true;
process.stdin.once('close', () => (working = false)).resume();
await client.info();
process.stdout.write('asking\n');
while (working) {
  const start = performance.now();
  await client.info();
  answers.push(performance.now() - start);
  await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
}
await client.close();
process.stdout.write(`${JSON.stringify({ median: median(answers), worst: Math.max(...answers) })}\n`);
