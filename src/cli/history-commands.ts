/** The daemon's records of builds: listing, pruning, pinning, watching, their logs and blobs. */
import { BuildError, Code, invalidArgument } from '../base/index.ts';
import type { CommandSpec } from '../base/index.ts';
import { BuildHistoryEventType } from '../proto/control.pb.ts';
import { parseDigest } from '../oci/index.ts';
import type { BuildHistoryEvent, BuildResultInfo, Descriptor } from '../proto/control.pb.ts';
import type { Action, CommandContext } from './context.ts';
import { startProgress } from './progress/index.ts';
import { alignTable } from './table.ts';
import { formatFlag, readFormat } from './usage-commands.ts';
import { goMessage, localTimeText } from './values.ts';

function typeName(event: BuildHistoryEvent): string {
  return Object.entries(BuildHistoryEventType).find(([, v]) => v === event.type)?.[0] ?? String(event.type);
}

const COLUMNS = ['TYPE', 'REF', 'CREATED', 'COMPLETED', 'GENERATION'];

function cells(event: BuildHistoryEvent): string[] {
  const r = event.record;
  return [
    typeName(event),
    r?.Ref ?? '',
    localTimeText(r?.CreatedAt),
    localTimeText(r?.CompletedAt),
    String(r?.Generation ?? 0),
  ];
}

/** Rows are shown as they come: only the first one shares its columns with the header. */
class GrowingTable {
  #header: string;
  readonly #context: CommandContext;

  constructor(columns: readonly string[], context: CommandContext) {
    this.#header = `${columns.join('\t')}\n`;
    this.#context = context;
  }

  add(row: readonly string[]): void {
    this.#context.print(alignTable(`${this.#header}${row.join('\t')}\n`));
    this.#header = '';
  }

  end(): void {
    if (this.#header !== '') this.#context.print(alignTable(this.#header));
  }
}

const list: Action = async (flags, _args, context) => {
  const client = await context.client(flags);
  const template = readFormat(flags);
  const table = new GrowingTable([...COLUMNS, 'PINNED'], context);
  for await (const event of client.listenHistory({ earlyExit: true, signal: context.signal })) {
    if (template !== undefined) context.print(`${template(goMessage(event))}\n`);
    else table.add([...cells(event), event.record?.pinned === true ? '*' : '']);
  }
  if (template === undefined) table.end();
};

const pruneHistories: Action = async (flags, _args, context) => {
  const client = await context.client(flags);
  const template = readFormat(flags);
  const table = new GrowingTable(COLUMNS, context);
  const failed: Error[] = [];
  for await (const event of client.listenHistory({ earlyExit: true, signal: context.signal })) {
    const { record } = event;
    if (record === undefined || record.pinned) continue;
    try {
      await client.updateHistory({ Ref: record.Ref, Delete: true }, context.signal);
    } catch (error) {
      failed.push(error as Error);
      continue;
    }
    if (template !== undefined) context.print(`${template(goMessage(event))}\n`);
    else table.add(cells(event));
  }
  if (template === undefined) table.end();
  if (failed.length > 0) throw new BuildError(Code.Unknown, failed.map((e) => e.message).join('\n'));
};

export const pruneHistoriesCommand: CommandSpec<CommandContext> = {
  name: 'prune-histories',
  usage: 'clean up build histories',
  flags: [formatFlag],
  action: pruneHistories,
};

export const historiesCommand: CommandSpec<CommandContext> = {
  name: 'histories',
  usage: 'list build records',
  flags: [formatFlag],
  action: list,
};

export function needRef(args: readonly string[]): string {
  if (args.length === 0) throw invalidArgument('build ref must be specified');
  return args[0];
}

const control: Action = async (flags, args, context) => {
  const ref = needRef(args);
  const client = await context.client(flags);
  const [pin, unpin, remove] = ['pin', 'unpin', 'delete'].map((name) => flags.bool(name));
  if (!pin && !unpin && !remove) throw invalidArgument('must specify one of --pin, --unpin, --delete');
  if (pin && unpin) throw invalidArgument('cannot specify both --pin and --unpin');
  if (remove && (pin || unpin)) throw invalidArgument('cannot specify --delete with --pin or --unpin');
  await client.updateHistory({ Ref: ref, Pinned: pin, Delete: remove }, context.signal);
};

export const ctlCommand: CommandSpec<CommandContext> = {
  name: 'ctl',
  usage: 'control build records',
  flags: [
    { kind: 'bool', name: 'pin', usage: 'Pin build so it will not be garbage collected' },
    { kind: 'bool', name: 'unpin', usage: 'Unpin build so it will be garbage collected' },
    { kind: 'bool', name: 'delete', usage: 'Delete build record' },
  ],
  action: control,
};

async function printBlob(chunks: AsyncIterable<Uint8Array>, context: CommandContext): Promise<void> {
  for await (const chunk of chunks) context.stdout.write(chunk);
}

const get: Action = async (flags, args, context) => {
  if (args.length === 0) throw invalidArgument('blob digest must be specified');
  const digest = parseDigest(args[0]);
  const client = await context.client(flags);
  await printBlob(client.readBlob(digest, context.signal), context);
};

export const getCommand: CommandSpec<CommandContext> = {
  name: 'get',
  usage: 'retrieve a blob from contentstore',
  action: get,
};

const logs: Action = async (flags, args, context) => {
  const ref = needRef(args);
  const client = await context.client(flags);
  if (flags.bool('trace')) {
    for await (const { record } of client.listenHistory({ ref, signal: context.signal })) {
      if (record?.trace === undefined) throw new BuildError(Code.NotFound, `ref ${ref} does not have trace`);
      await printBlob(client.readBlob(record.trace.digest, context.signal), context);
      return;
    }
    throw new BuildError(Code.NotFound, `ref ${ref} not found`);
  }
  const progress = startProgress(flags.string('progress'), context.stdout);
  try {
    for await (const status of client.status(ref, context.signal)) progress.update(status);
  } finally {
    progress.close();
  }
};

export const logsCommand: CommandSpec<CommandContext> = {
  name: 'logs',
  usage: 'display build logs',
  flags: [
    { kind: 'string', name: 'progress', usage: 'progress output type', default: 'auto' },
    { kind: 'bool', name: 'trace', usage: 'show opentelemetry trace' },
  ],
  action: logs,
};

/** Go's text form of the message. */
function descriptorText(d: Descriptor): string {
  const annotations = [...d.annotations].map(
    ([key, value]) => ` annotations:{key:${JSON.stringify(key)} value:${JSON.stringify(value)}}`,
  );
  return `media_type:${JSON.stringify(d.mediaType)} digest:${JSON.stringify(d.digest)} size:${d.size}${annotations.join('')}`;
}

function resultText(result: BuildResultInfo, prefix: string): string {
  const found = [...result.Results.values()];
  if (found.length === 0 && result.ResultDeprecated !== undefined) found.push(result.ResultDeprecated);
  return (
    found.map((d) => `  ${prefix}descriptor: ${descriptorText(d)}\n`).join('') +
    result.Attestations.map((d) => `  ${prefix}attestation: ${descriptorText(d)}\n`).join('')
  );
}

const monitor: Action = async (flags, _args, context) => {
  const client = await context.client(flags);
  const query = { activeOnly: !flags.bool('completed'), ref: flags.string('ref'), signal: context.signal };
  for await (const event of client.listenHistory(query)) {
    const r = event.record;
    let out = `event: ${typeName(event)} ref:${r?.Ref ?? ''}\n`;
    if (r !== undefined) {
      if (r.numTotalSteps !== 0) out += `  cache: ${r.numCachedSteps}/${r.numTotalSteps}\n`;
      if (r.numWarnings !== 0) out += `  warnings: ${r.numWarnings}\n`;
      if (r.logs !== undefined) out += `  logs: ${descriptorText(r.logs)}\n`;
      if (r.trace !== undefined) out += `  trace: ${descriptorText(r.trace)}\n`;
      if (r.Result !== undefined) out += resultText(r.Result, '');
      for (const [key, result] of r.Results) out += resultText(result, `[${key}] `);
    }
    context.print(out);
  }
};

export const monitorCommand: CommandSpec<CommandContext> = {
  name: 'monitor',
  usage: 'display build events',
  flags: [
    { kind: 'bool', name: 'completed', usage: 'show completed builds' },
    { kind: 'string', name: 'ref', usage: 'show events for a specific build' },
  ],
  action: monitor,
};
