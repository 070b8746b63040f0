import {
  BuildError,
  canceled,
  Code,
  configureLog,
  invalidArgument,
  parseCommandLine,
  renderHelp,
  toBuildError,
  UsageError,
  VERSION,
} from '../base/index.ts';
import type { CommandSpec, ParsedCommand, ParsedFlags } from '../base/index.ts';
import type { Client } from '../client/index.ts';
import { buildCommand } from './build/command.ts';
import { beginCommandTrace } from './command-trace.ts';
import type { CommandTrace } from './command-trace.ts';
import type { CommandContext } from './context.ts';
import { debugCommand } from './debug-commands.ts';
import { dialStdioCommand } from './dial-stdio.ts';
import { renderErrorContext } from './error-report.ts';
import { globalFlags } from './globals.ts';
import { pruneHistoriesCommand } from './history-commands.ts';
import type { Embed } from './reach.ts';
import type { StandardOutput } from './standard-output.ts';
import { duCommand, pruneCommand } from './usage-commands.ts';

/** What urfave/cli ends with for a command that there is not. */
const NO_SUCH_COMMAND = 3;

const help: CommandSpec<CommandContext> = {
  name: 'help',
  aliases: ['h'],
  usage: 'Shows a list of commands or help for one command',
};

export const program: CommandSpec<CommandContext> = {
  name: 'buildctl',
  usage: 'build utility',
  flags: [...globalFlags, { kind: 'bool', name: 'version', aliases: ['v'], usage: 'print the version', hidden: true }],
  commands: [duCommand, pruneCommand, pruneHistoriesCommand, buildCommand, debugCommand, dialStdioCommand, help],
};

export interface ProgramHooks {
  /** A daemon of this program's own, for builds when none answers at the default address; the program closes it. */
  readonly embed?: Embed;
}

export interface ProgramStreams {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: StandardOutput;
  readonly stderr: StandardOutput;
}

function configure(flags: ParsedFlags, stderr: StandardOutput): void {
  const format = flags.string('log-format');
  if (format !== 'json' && format !== 'text' && format !== '') {
    throw invalidArgument(`unsupported log type ${JSON.stringify(format)}`);
  }
  configureLog({
    write: (line) => stderr.write(line),
    format: format === 'json' ? 'json' : 'text',
    ...(flags.bool('debug') ? { level: 'debug' } : {}),
  });
}

/** The command that `help a b` means, or undefined. */
function findHelp(args: readonly string[]): CommandSpec<CommandContext>[] | undefined {
  const path = [program];
  for (const word of args) {
    const next = path.at(-1)?.commands?.find((c) => c.name === word || c.aliases?.includes(word));
    if (next === undefined) return undefined;
    path.push(next);
  }
  return path;
}

/** Runs one command line and returns the exit code. Never throws. */
export async function runProgram(
  argv: readonly string[],
  streams: ProgramStreams,
  signal: AbortSignal,
  hooks: ProgramHooks = {},
): Promise<number> {
  const { stdout, stderr } = streams;
  let debug = false;
  let trace: CommandTrace | undefined;
  let connected: Client | undefined;
  let failure: Error | undefined;
  const cleanups: (() => Promise<void>)[] = [];
  const client: CommandContext['client'] = async (flags, options = {}) => {
    const { reachDaemon } = await import('./reach.ts');
    const reached = await reachDaemon(flags, options, hooks.embed, signal);
    cleanups.push(() => reached.close());
    connected = reached.client;
    return reached.client;
  };
  const context: CommandContext = {
    // Opened by whoever reads it.
    get stdin() {
      return streams.stdin;
    },
    stdout,
    stderr,
    signal,
    client,
    get traceParent() {
      return trace?.traceParent;
    },
    print: (text, where = 'stdout') => streams[where].write(text),
  };
  try {
    let parsed: ParsedCommand<CommandContext>;
    try {
      parsed = parseCommandLine(program, argv);
    } catch (error) {
      if (error instanceof UsageError) {
        stderr.write(`Incorrect Usage: ${error.message}\n\n`);
        if (error.isGlobal) stdout.write(renderHelp([program], VERSION.version));
      }
      throw error;
    }
    const { flags, path, args } = parsed;
    debug = flags.bool('debug');
    const command = path.at(-1) ?? program;
    if (flags.bool('version')) {
      stdout.write(`buildctl ${VERSION.package} ${VERSION.version} ${VERSION.revision}\n`);
      return 0;
    }
    if (command === help || command.action === undefined || flags.bool('help')) {
      const wanted = command === help ? findHelp(args) : args.length > 0 && !flags.bool('help') ? undefined : path;
      if (wanted === undefined) {
        stderr.write(`No help topic for '${args[0]}'\n`);
        return NO_SUCH_COMMAND;
      }
      stdout.write(renderHelp(wanted, VERSION.version));
      return 0;
    }
    configure(flags, stderr);
    trace = await beginCommandTrace(command.name, ['buildctl', ...argv], process.env);
    await command.action(flags, args, context);
    return 0;
  } catch (thrown) {
    const error = signal.aborted && toBuildError(thrown).code === Code.Unknown ? canceled() : toBuildError(thrown);
    failure = error;
    stderr.write(renderErrorContext(error));
    stderr.write(`error: ${error.message}\n${debug ? stackText(error) : ''}`);
    return 1;
  } finally {
    await trace?.end(failure, connected);
    for (const cleanup of cleanups.toReversed()) await cleanup().catch(() => {});
  }
}

/** For `--debug`: where each of the causes came from. */
const STACK = 'github.com/moby/buildkit/stack.Stack+json';

function stackText(error: BuildError): string {
  const stacks: string[] = [];
  for (let e: unknown = error; e instanceof Error && stacks.length < 16; e = e.cause) stacks.push(e.stack ?? e.message);
  return `${stacks.join('\nCaused by: ')}\n${remoteStacks(error)}`;
}

/** What the daemon, or whoever it heard it from, said of where the error began. */
function remoteStacks(error: BuildError): string {
  interface Stack {
    readonly pid?: number;
    readonly version?: string;
    readonly cmdline?: readonly string[];
    readonly frames?: readonly { readonly Name?: string; readonly File?: string; readonly Line?: number }[];
  }
  let text = '';
  for (const { typeUrl, value } of error.details) {
    if (typeUrl !== STACK) continue;
    const { pid, version, cmdline, frames } = JSON.parse(Buffer.from(value).toString('utf8')) as Stack;
    text += `\n${pid} ${version} ${cmdline?.join(' ')}\n`;
    for (const frame of frames ?? []) text += `${frame.Name}\n\t${frame.File}:${frame.Line}\n`;
  }
  return text;
}
