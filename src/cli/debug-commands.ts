import { createReadStream } from 'node:fs';
import type { CommandSpec } from '../base/index.ts';
import { BuildError, Code, formatBytesShort, formatDuration } from '../base/index.ts';
import { Op } from '../proto/ops.pb.ts';
import type { FileAction } from '../proto/ops.pb.ts';
import type { WorkerRecord } from '../proto/worker.pb.ts';
import { opDigest, readDefinition } from './build/definition.ts';
import { checkLayerCommand } from './check-layer-command.ts';
import type { Action, CommandContext } from './context.ts';
import { ctlCommand, getCommand, historiesCommand, logsCommand, monitorCommand } from './history-commands.ts';
import { alignTable } from './table.ts';
import { toJson } from './template.ts';
import { formatFlag, readFormat } from './usage-commands.ts';
import { whyCommand } from './why-command.ts';
import { goMessage, goSlice, platformText, versionValue, workerValue } from './values.ts';

function verboseWorker(w: WorkerRecord): string {
  const v = w.BuildkitVersion;
  let out = `ID:\t${w.ID}\nPlatforms:\t${w.platforms.map(platformText).join(',')}\n`;
  out += `BuildKit:\t${v?.package ?? ''} ${v?.version ?? ''} ${v?.revision ?? ''}\n`;
  if (v?.dockerfileVersion) out += `Dockerfile:\t${v.dockerfileVersion}\n`;
  out += 'Labels:\n';
  for (const [key, value] of [...w.Labels].toSorted(([a], [b]) => (a < b ? -1 : 1))) out += `\t${key}:\t${value}\n`;
  if (w.CDIDevices.length > 0) out += 'Devices:\n';
  for (const d of w.CDIDevices) {
    out += `\tName:\t${d.Name}\n`;
    out += d.OnDemand ? `\tOnDemand:\t${d.OnDemand}\n` : `\tAutoAllow:\t${d.AutoAllow}\n`;
    for (const [key, value] of [...d.Annotations].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      out += `\tAnnotations:\t${key}:\t${value}\n`;
    }
    out += '\n';
  }
  w.GCPolicy.forEach((p, i) => {
    out += `GC Policy rule#${i}:\n\tAll:\t${p.all}\n`;
    if (p.filters.length > 0) out += `\tFilters:\t${p.filters.join(' ')}\n`;
    if (p.keepDuration > 0n) out += `\tKeep duration:\t${formatDuration(p.keepDuration)}\n`;
    if (p.reservedSpace > 0n) out += `\tReserved space:\t${formatBytesShort(p.reservedSpace)}\n`;
    if (p.minFreeSpace > 0n) out += `\tMinimum free space:\t${formatBytesShort(p.minFreeSpace)}\n`;
    if (p.maxUsedSpace > 0n) out += `\tMaximum used space:\t${formatBytesShort(p.maxUsedSpace)}\n`;
  });
  return `${out}\n`;
}

const workers: Action = async (flags, _args, context) => {
  const client = await context.client(flags, { failure: 'failed to list workers' });
  const list = await client.listWorkers(flags.list('filter'), context.signal);
  const template = readFormat(flags);
  if (template !== undefined) context.print(`${template(goSlice(list.map(workerValue)))}\n`);
  else if (flags.bool('verbose')) context.print(alignTable(list.map(verboseWorker).join('')));
  else {
    const rows = list.map((w) => `${w.ID}\t${w.platforms.map(platformText).join(',')}\n`);
    context.print(alignTable(`ID\tPLATFORMS\n${rows.join('')}`));
  }
};

const info: Action = async (flags, _args, context) => {
  const client = await context.client(flags, { failure: 'failed to call info' });
  const { buildkitVersion: v } = await client.info({ signal: context.signal });
  const template = readFormat(flags);
  if (template !== undefined) {
    context.print(`${template({ buildkitVersion: versionValue(v) })}\n`);
    return;
  }
  let text = `BuildKit:\t${v?.package ?? ''} ${v?.version ?? ''} ${v?.revision ?? ''}\n`;
  if (v?.dockerfileVersion) text += `Dockerfile:\t${v.dockerfileVersion}\n`;
  context.print(alignTable(text, { padding: 'spaces' }));
};

function fileActionText({ action }: FileAction): string {
  switch (action?.$case) {
    case 'copy':
      return `copy{src=${action.value.src}, dest=${action.value.dest}}`;
    case 'mkfile':
      return `mkfile{path=${action.value.path}}`;
    case 'mkdir':
      return `mkdir{path=${action.value.path}}`;
    case 'rm':
      return `rm{path=${action.value.path}}`;
    case 'symlink':
      return `symlink{oldpath=${action.value.oldpath}, newpath=${action.value.newpath}}`;
    default:
      return '';
  }
}

/** What a node of the graph is called, and its shape. */
function dotNode(digest: string, { op }: Op): [string, string] {
  switch (op?.$case) {
    case 'source':
      return [op.value.identifier, 'ellipse'];
    case 'exec':
      return [op.value.meta?.args.join(' ') ?? '', 'box'];
    case 'build':
      return ['build', 'box3d'];
    case 'merge':
      return ['merge', 'invtriangle'];
    case 'diff':
      return ['diff', 'doublecircle'];
    case 'file':
      return [op.value.actions.map(fileActionText).join(','), 'note'];
    default:
      return [digest, 'plaintext'];
  }
}

function dotGraph(ops: readonly { op: Op; digest: string }[]): string {
  const quote = (text: string): string => JSON.stringify(text);
  let out = 'digraph {\n';
  for (const { op, digest } of ops) {
    const [label, shape] = dotNode(digest, op);
    out += `  ${quote(digest)} [label=${quote(label)} shape=${quote(shape)}];\n`;
  }
  for (const { op, digest } of ops) {
    op.inputs.forEach((input, i) => {
      const mounts = op.op?.$case === 'exec' ? op.op.value.mounts : [];
      const label = mounts.findLast((m) => Number(m.input) === i && m.dest !== '/')?.dest ?? '';
      out += `  ${quote(input.digest)} -> ${quote(digest)} [label=${quote(label)}];\n`;
    });
  }
  return `${out}}\n`;
}

/** Go's JSON of a oneof: the case's name and its value. */
function oneofValue(body: { readonly $case: string; readonly value: unknown } | undefined): Record<string, unknown> {
  return body === undefined ? {} : { [body.$case]: goMessage(body.value) };
}

/** Go's JSON of the op: oneofs sit under names in upper case. */
function opValue(op: Op): unknown {
  const { op: body, inputs, ...rest } = op;
  const actions =
    body?.$case !== 'file'
      ? undefined
      : body.value.actions.map((a) => ({
          input: a.input,
          secondaryInput: a.secondaryInput,
          output: a.output,
          Action: oneofValue(a.action),
        }));
  return {
    ...(inputs.length === 0 ? {} : { inputs: goMessage(inputs) }),
    Op: actions === undefined ? oneofValue(body) : { file: { actions } },
    ...(goMessage(rest) as Record<string, unknown>),
  };
}

const dumpLlb: Action = async (flags, args, context) => {
  const file = args[0] ?? '-';
  const definition = await readDefinition(file === '-' ? context.stdin : createReadStream(file));
  const ops = definition.def.map((bytes) => ({ op: Op.decode(bytes), digest: opDigest(bytes) }));
  if (flags.bool('dot')) {
    context.print(dotGraph(ops));
    return;
  }
  for (const { op, digest } of ops) {
    const metadata = definition.metadata.get(digest);
    const value = { Op: opValue(op), Digest: digest, OpMetadata: metadata === undefined ? {} : goMessage(metadata) };
    context.print(`${toJson(value)}\n`);
  }
};

const dumpMetadata: Action = async () => {
  throw new BuildError(
    Code.Unimplemented,
    'dump-metadata is not supported: the state of this daemon is not in bolt files',
  );
};

export const debugCommand: CommandSpec<CommandContext> = {
  name: 'debug',
  usage: 'debug utilities',
  commands: [
    {
      name: 'dump-llb',
      usage:
        'dump LLB in human-readable format. LLB can be also passed via stdin. This command does not require the daemon to be running.',
      argsUsage: '<llbfile>',
      flags: [{ kind: 'bool', name: 'dot', usage: 'Output dot format' }],
      action: dumpLlb,
    },
    {
      name: 'dump-metadata',
      usage: 'dump the meta in human-readable format.  This command requires the daemon NOT to be running.',
      flags: [{ kind: 'string', name: 'root', usage: 'path to state directory', default: '/var/lib/buildkit' }],
      action: dumpMetadata,
    },
    {
      name: 'workers',
      usage: 'list workers',
      flags: [
        { kind: 'list', name: 'filter', aliases: ['f'], usage: 'containerd-style filter string slice' },
        { kind: 'bool', name: 'verbose', aliases: ['v'], usage: 'Verbose output' },
        formatFlag,
      ],
      action: workers,
    },
    { name: 'info', usage: 'display internal information', flags: [formatFlag], action: info },
    monitorCommand,
    logsCommand,
    whyCommand,
    checkLayerCommand,
    ctlCommand,
    getCommand,
    historiesCommand,
  ],
};
