/** `npm run fuzz -- --seed 7 --attacks 20000 --clients 8`: a long run by hand; prints what the daemon answered. */
import { parseArgs } from 'node:util';
import { fuzz } from './run.ts';

const number = { type: 'string' } as const;
const { values } = parseArgs({ options: { seed: number, attacks: number, clients: number } });
const seed = Number(values.seed ?? Date.now() % 1_000_000);
process.stdout.write(`seed ${seed}\n`);
const { tally, untyped, memory } = await fuzz({
  seed,
  attacks: Number(values.attacks ?? 5000),
  clients: Number(values.clients ?? 4),
});
for (const [code, count] of [...tally].toSorted((a, b) => b[1] - a[1])) process.stdout.write(`${count}\t${code}\n`);
process.stdout.write(`the daemon has ${memory} MB\n`);
for (const text of untyped.toSorted()) process.stdout.write(`${text}\n`);
