/** The table, as lines for a terminal and as Markdown. */
import { cpus, loadavg, release } from 'node:os';
import type { Figure, Row } from './row.ts';
import { medianOf, medianRatio } from './statistics.ts';
import type { Sample } from './statistics.ts';

export interface Result {
  readonly row: Row;
  readonly ours: readonly Sample[];
  readonly upstream: readonly Sample[];
  readonly limit: readonly Sample[];
}

/** Three digits that count, in the figure's unit. */
export function show(value: number | undefined): string {
  if (value === undefined) return '–';
  const decimals = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return value.toFixed(decimals);
}

function label(figure: Figure): string {
  const { unit = 's' } = figure;
  return unit === 's' ? figure.name : `${figure.name} (${unit})`;
}

function cells({ row, ours, upstream, limit }: Result, figure: Figure): string[] {
  const ratio = (other: readonly Sample[]): string => show(medianRatio(ours, other, figure.name));
  return [
    row.name,
    label(figure),
    show(medianOf(ours, figure.name)),
    show(medianOf(upstream, figure.name)),
    show(medianOf(limit, figure.name)),
    ratio(upstream),
    ratio(limit),
  ];
}

const HEAD = ['row', 'figure', 'ours', 'upstream', 'limit', 'ours/upstream', 'ours/limit'];

function pad(rows: readonly (readonly string[])[]): string[] {
  const widths = HEAD.map((_, i) => Math.max(...rows.map((r) => r[i].length)));
  return rows.map((r) => r.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '));
}

export function textTable(results: readonly Result[]): string {
  return pad([HEAD, ...results.flatMap((r) => r.row.figures.map((f) => cells(r, f)))]).join('\n');
}

export function machine(): string {
  const [cpu] = cpus();
  const load = loadavg().map((l) => l.toFixed(1));
  return `${cpus().length} × ${cpu.model.trim()}, Linux ${release()}, Node ${process.version}; load ${load.join(' ')}`;
}

/** The table and, below it, what the rows and the limits are. */
export function markdown(results: readonly Result[], conditions: readonly string[]): string {
  const line = (c: readonly string[]): string => `| ${c.join(' | ')} |`;
  const rows = results.flatMap((r) => r.row.figures.map((f) => line(cells(r, f))));
  const notes = results.map(({ row, ours }) => {
    const limits = row.figures.filter((f) => f.limit !== undefined).map((f) => `${f.name}: ${f.limit}`);
    return `- **${row.name}** (${ours.length} rounds): ${row.work}.${limits.length > 0 ? ` Limit: ${limits.join('; ')}.` : ''}`;
  });
  const rule = `| --- | --- | ${HEAD.slice(2)
    .map(() => '---:')
    .join(' | ')} |`;
  return [...conditions, '', line(HEAD), rule, ...rows, '', ...notes, ''].join('\n');
}
