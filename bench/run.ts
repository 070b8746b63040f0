/** `npm run bench`: times the rows in turns and prints medians and ratios. See options.ts for the command line. */
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Builder } from './builder.ts';
import type { Programs } from './builder.ts';
import { parseOptions, USAGE } from './options.ts';
import type { Options } from './options.ts';
import { machine, markdown, textTable } from './report.ts';
import type { Result } from './report.ts';
import type { Course, Row } from './row.ts';
import { ROWS } from './rows/index.ts';
import { findProgram, project, Stand } from './stand.ts';
import type { Sample } from './statistics.ts';

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

const OURS: Programs = {
  name: 'ours',
  buildkitd: join(project, 'bin/buildkitd'),
  buildctl: join(project, 'bin/buildctl'),
};

function upstreamPrograms({ upstream }: Options): Programs | undefined {
  if (upstream === undefined) return undefined;
  const find = (name: string): string => {
    const file = upstream === 'path' ? findProgram(name) : join(upstream.directory, name);
    if (file === undefined) throw new Error(`${name} is not on PATH`);
    return file;
  };
  const programs: Programs = { name: 'upstream', buildkitd: find('buildkitd'), buildctl: find('buildctl') };
  const version = execFileSync(programs.buildkitd, ['--version'], { encoding: 'utf8' }).trim();
  if (!version.includes('moby/buildkit')) throw new Error(`${programs.buildkitd} is not upstream's: ${version}`);
  say(`upstream: ${version}`);
  return programs;
}

function rowsNamed(names: readonly string[]): readonly Row[] {
  if (names.length === 0) return ROWS;
  return names.map((name) => {
    const row = ROWS.find((r) => r.name === name);
    if (row === undefined) throw new Error(`no row is named ${name}; there are ${ROWS.map((r) => r.name).join(', ')}`);
    return row;
  });
}

/** One after another; who begins changes from round to round. */
async function runRounds(row: Row, rounds: number, course: Course, builders: readonly Builder[]): Promise<Result> {
  const samples = { ours: [] as Sample[], upstream: [] as Sample[], limit: [] as Sample[] };
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? builders : builders.toReversed();
    for (const builder of order) samples[builder.programs.name].push(await course.measure(builder, round));
    if (course.limit !== undefined) samples.limit.push(await course.limit(round));
    say(`  round ${round + 1} of ${rounds}: ${JSON.stringify(samples.ours.at(-1))}`);
  }
  return { row, ...samples };
}

async function runRow(row: Row, stand: Stand, programs: readonly Programs[], options: Options): Promise<Result> {
  const builders = programs.map((p) => new Builder(p, stand.path(`${row.name}-${p.name}`)));
  try {
    const course = await row.prepare(stand);
    for (const builder of builders) {
      await builder.start();
      await course.warm?.(builder);
    }
    return await runRounds(row, options.rounds ?? row.rounds, course, builders);
  } finally {
    for (const builder of builders) {
      await builder.stop();
      rmSync(stand.path(`${row.name}-${builder.programs.name}`), { recursive: true, force: true });
    }
  }
}

function missing(row: Row): readonly string[] {
  return ['runc', 'busybox', ...(row.needs ?? [])].filter((name) => findProgram(name) === undefined);
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help || options.list) {
    process.stdout.write(options.help ? USAGE : ROWS.map((r) => `${r.name.padEnd(10)} ${r.work}\n`).join(''));
    return;
  }
  if (process.getuid?.() !== 0) throw new Error('builds mount file systems and start containers: run this as root');
  // Where Debian keeps runc and mount; not in everybody's PATH.
  process.env['PATH'] = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  const rows = rowsNamed(options.rows);
  execFileSync(join(project, 'scripts/ensure-built.sh'), [project]);
  const upstream = upstreamPrograms(options);
  const ours =
    options.client === 'upstream' && upstream !== undefined ? { ...OURS, buildctl: upstream.buildctl } : OURS;
  const programs = upstream === undefined ? [ours] : [ours, upstream];
  const stand = new Stand(options.folder, options.scale);
  const conditions = [`At the start: ${machine()}.`];
  if (options.client === 'upstream') conditions.unshift("Both daemons were driven by upstream's buildctl.");
  const results: Result[] = [];
  try {
    for (const row of rows) {
      const absent = missing(row);
      if (absent.length > 0) {
        say(`${row.name}: left out, ${absent.join(' and ')} missing`);
        continue;
      }
      say(`${row.name}: ${row.work}`);
      results.push(await runRow(row, stand, programs, options));
      process.stdout.write(`${textTable(results.slice(-1))}\n\n`);
    }
  } finally {
    stand.remove();
  }
  conditions.push(`At the end: ${machine()}.${options.scale === 1 ? '' : ` Sizes and counts times ${options.scale}.`}`);
  if (results.length > 1) process.stdout.write(`${conditions.join('\n')}\n\n${textTable(results)}\n`);
  if (options.markdown !== undefined) writeFileSync(options.markdown, markdown(results, conditions));
}

try {
  await main();
} catch (error) {
  say(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}
