/** `du` and `prune`: the records of the daemon's cache. */
import { formatBytes, invalidArgument, logger, parseDuration } from '../base/index.ts';
import type { CommandSpec, FlagSpec, ParsedFlags } from '../base/index.ts';
import type { UsageRecord } from '../proto/control.pb.ts';
import type { Action, CommandContext } from './context.ts';
import { alignTable } from './table.ts';
import { parseTemplate } from './template.ts';
import type { Template } from './template.ts';
import { goSlice, goTimeText, usageValue } from './values.ts';

export const formatFlag: FlagSpec = {
  kind: 'string',
  name: 'format',
  usage: "Format the output using the given Go template, e.g, '{{json .}}'",
};
const listFlags: readonly FlagSpec[] = [
  { kind: 'list', name: 'filter', aliases: ['f'], usage: 'Filter records' },
  { kind: 'bool', name: 'verbose', aliases: ['v'], usage: 'Verbose output' },
];

/** The parsed `--format`, if there is one. */
export function readFormat(flags: ParsedFlags): Template | undefined {
  const format = flags.string('format');
  if (format === '') return undefined;
  if (flags.bool('verbose')) logger.debug('Ignoring --verbose');
  return parseTemplate(format);
}

const HEADER = 'ID\tRECLAIMABLE\tSIZE\tLAST ACCESSED\n';

function row(r: UsageRecord): string {
  const id = (r.Mutable ? `${r.ID}*` : r.ID).padEnd(71);
  const size = formatBytes(r.Size) + (r.Shared ? '*' : '');
  return `${id}\t${String(!r.InUse).padEnd(11)}\t${size}\t\n`;
}

function verbose(r: UsageRecord): string {
  const pairs: [string, unknown][] = [
    ['ID', r.ID],
    ...(r.Parents.length > 0 ? [['Parents', r.Parents.join(';')] as [string, unknown]] : []),
    ['Created at', goTimeText(r.CreatedAt)],
    ['Mutable', r.Mutable],
    ['Reclaimable', !r.InUse],
    ['Shared', r.Shared],
    ['Size', formatBytes(r.Size)],
  ];
  if (r.Description !== '') pairs.push(['Description', r.Description]);
  pairs.push(['Usage count', r.UsageCount]);
  if (r.LastUsedAt !== undefined) pairs.push(['Last used', goTimeText(r.LastUsedAt)]);
  if (r.RecordType !== '') pairs.push(['Type', r.RecordType]);
  return `${pairs.map(([key, value]) => `${key}:\t${value}\n`).join('')}\n`;
}

function summary(records: readonly UsageRecord[]): string {
  let [total, reclaimable, shared] = [0n, 0n, 0n];
  for (const r of records) {
    if (r.Size > 0n) {
      total += r.Size;
      if (!r.InUse) reclaimable += r.Size;
    }
    if (r.Shared) shared += r.Size;
  }
  let out = '';
  if (shared > 0n) out += `Shared:\t${formatBytes(shared)}\nPrivate:\t${formatBytes(total - shared)}\n`;
  return `${out}Reclaimable:\t${formatBytes(reclaimable)}\nTotal:\t${formatBytes(total)}\n`;
}

const diskUsage: Action = async (flags, _args, context) => {
  const client = await context.client(flags, { failure: 'failed to call diskusage' });
  const filter = flags.list('filter');
  const records = await client.diskUsage(filter, context.signal);
  const template = readFormat(flags);
  if (template !== undefined) {
    context.print(`${template(goSlice(records.map(usageValue)))}\n`);
    return;
  }
  context.print(alignTable(flags.bool('verbose') ? records.map(verbose).join('') : HEADER + records.map(row).join('')));
  if (filter.length === 0) context.print(alignTable(summary(records)));
};

export const duCommand: CommandSpec<CommandContext> = {
  name: 'du',
  usage: 'disk usage',
  flags: [...listFlags, formatFlag],
  action: diskUsage,
};

/** Decimal megabytes. */
function megabytes(flags: ParsedFlags, name: string): bigint {
  return BigInt(Math.trunc(flags.float(name) * 1e6));
}

function keepDuration(flags: ParsedFlags): bigint {
  const text = flags.string('keep-duration');
  const duration = parseDuration(text);
  if (duration === undefined) throw invalidArgument(`time: invalid duration ${JSON.stringify(text)}`);
  return duration;
}

const prune: Action = async (flags, _args, context) => {
  const client = await context.client(flags, { failure: 'failed to call prune' });
  const template = readFormat(flags);
  const removed = client.prune({
    filter: flags.list('filter'),
    all: flags.bool('all'),
    keepDurationNs: keepDuration(flags),
    reservedSpace: megabytes(flags, 'keep-storage-min'),
    maxUsedSpace: megabytes(flags, 'keep-storage'),
    minFreeSpace: megabytes(flags, 'free-storage'),
    signal: context.signal,
  });
  let first = true;
  let total = 0n;
  for await (const record of removed) {
    total += record.Size;
    if (template !== undefined) context.print(`${template(usageValue(record))}\n`);
    else if (flags.bool('verbose')) context.print(alignTable(verbose(record)));
    else {
      context.print(alignTable(first ? HEADER + row(record) : row(record)));
      first = false;
    }
  }
  if (template === undefined) context.print(alignTable(`Total:\t${formatBytes(total)}\n`));
};

export const pruneCommand: CommandSpec<CommandContext> = {
  name: 'prune',
  usage: 'clean up build cache',
  flags: [
    { kind: 'duration', name: 'keep-duration', usage: 'Keep data newer than this limit', default: '0s' },
    { kind: 'float', name: 'keep-storage', usage: 'Keep data below this limit (in MB)', default: '0' },
    { kind: 'float', name: 'keep-storage-min', usage: 'Always allow data above this limit (in MB)', default: '0' },
    { kind: 'float', name: 'free-storage', usage: 'Keep free data below this limit (in MB)', default: '0' },
    listFlags[0],
    { kind: 'bool', name: 'all', usage: 'Include internal/frontend references' },
    listFlags[1],
    formatFlag,
  ],
  action: prune,
};
