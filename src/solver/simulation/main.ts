/** `npm run simulate -- --seeds 100000 --from 1`: a long run; prints the seeds that went wrong and ends with their number. */
import { parseArgs } from 'node:util';
import { configureLog } from '../../base/index.ts';
import { simulate } from './simulate.ts';

const number = { type: 'string' } as const;
const { values } = parseArgs({ options: { seeds: number, from: number } });
const from = Number(values.from ?? 1);
const count = Number(values.seeds ?? 10_000);
// Faults of caches are part of the story.
configureLog({ level: 'panic' });
let wrong = 0;
for (let seed = from; seed < from + count; seed++) {
  try {
    await simulate(seed);
  } catch (error) {
    wrong++;
    process.stdout.write(`${(error as Error).message}\n\n`);
  }
  if ((seed - from) % 1000 === 999) process.stdout.write(`${seed - from + 1} seeds, ${wrong} went wrong\n`);
}
process.stdout.write(`${count} seeds from ${from}: ${wrong} went wrong\n`);
process.exitCode = wrong === 0 ? 0 : 1;
