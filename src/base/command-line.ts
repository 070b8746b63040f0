/**
 * Command lines in the grammar and help layout of urfave/cli v3, which upstream's programs use: `--name value`,
 * `--name=value`, `-x`, `--bool[=false]`, repeatable flags that are never split on commas, `--` ends the flags.
 */
export interface FlagSpec {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** `float` and `duration` are checked by whoever reads them as such. */
  readonly kind: 'string' | 'bool' | 'int' | 'float' | 'duration' | 'list';
  readonly usage: string;
  /** Shown as `(default: …)`; strings are quoted there. Not applied for lists. */
  readonly default?: string;
  readonly env?: string;
  readonly hidden?: boolean;
}

/** A {@link FlagSpec} in one line. */
export function flag(
  kind: FlagSpec['kind'],
  name: string,
  usage: string,
  more: Omit<FlagSpec, 'kind' | 'name' | 'usage'> = {},
): FlagSpec {
  return { kind, name, usage, ...more };
}

export interface CommandSpec<C = unknown> {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly usage: string;
  /** Replaces the generated usage line(s). */
  readonly usageText?: string;
  readonly argsUsage?: string;
  readonly hidden?: boolean;
  readonly flags?: readonly FlagSpec[];
  readonly commands?: readonly CommandSpec<C>[];
  readonly action?: (flags: ParsedFlags, args: readonly string[], context: C) => Promise<void>;
}

/** Thrown for a command line that does not parse: the program prints `Incorrect Usage: …` and ends with 1. */
export class UsageError extends Error {
  /** The flag that is wrong is one of the program's own: its help is shown too, as it is not for those of commands. */
  isGlobal = false;
}

export class ParsedFlags {
  readonly #values = new Map<string, string[]>();
  readonly #specs = new Map<string, FlagSpec>();

  declare(spec: FlagSpec): void {
    this.#specs.set(spec.name, spec);
    if (spec.env !== undefined && !this.#values.has(spec.name)) {
      const value = process.env[spec.env];
      if (value !== undefined && value !== '') this.#values.set(spec.name, [value]);
    }
  }

  add(spec: FlagSpec, value: string, fromCommandLine: boolean): void {
    if (spec.kind === 'bool' && !isBool(value)) {
      throw new UsageError(`invalid value "${value}" for flag -${spec.name}: parse error`);
    }
    if (spec.kind === 'float' && !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value)) {
      throw new UsageError(
        `invalid value "${value}" for flag -${spec.name}: strconv.ParseFloat: parsing "${value}": invalid syntax`,
      );
    }
    if (spec.kind === 'duration' && !/^[+-]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h))+)$/.test(value)) {
      throw new UsageError(`invalid value "${value}" for flag -${spec.name}: time: invalid duration "${value}"`);
    }
    if (spec.kind === 'int' && !/^[+-]?\d+$/.test(value)) {
      throw new UsageError(
        `invalid value "${value}" for flag -${spec.name}: strconv.ParseInt: parsing "${value}": invalid syntax`,
      );
    }
    const had = this.#values.get(spec.name);
    if (spec.kind === 'list' && had !== undefined && fromCommandLine) had.push(value);
    else this.#values.set(spec.name, [value]);
  }

  /** True when given on the command line or by the flag's environment variable. */
  isSet(name: string): boolean {
    return this.#values.has(name);
  }

  string(name: string): string {
    return this.#values.get(name)?.at(-1) ?? this.#specs.get(name)?.default ?? '';
  }

  bool(name: string): boolean {
    const value = this.#values.get(name)?.at(-1);
    return value !== undefined && isTrue(value);
  }

  float(name: string): number {
    return Number(this.string(name) || '0');
  }

  int(name: string): number {
    return Number(this.string(name) || '0');
  }

  list(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }
}

function isTrue(value: string): boolean {
  return ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value);
}

function isBool(value: string): boolean {
  return isTrue(value) || ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value);
}

export const HELP_FLAG: FlagSpec = { name: 'help', aliases: ['h'], kind: 'bool', usage: 'show help' };

export interface ParsedCommand<C> {
  /** From the program to the command that was named. */
  readonly path: readonly CommandSpec<C>[];
  readonly flags: ParsedFlags;
  readonly args: readonly string[];
}

/** `argv` without the program's own name. Flags of every command on the path share one {@link ParsedFlags}. */
export function parseCommandLine<C>(program: CommandSpec<C>, argv: readonly string[]): ParsedCommand<C> {
  const flags = new ParsedFlags();
  const path: CommandSpec<C>[] = [program];
  let known = declareAll(flags, program);
  const args: string[] = [];
  let i = 0;
  for (; i < argv.length; i++) {
    const word = argv[i];
    if (word === '--') {
      args.push(...argv.slice(i + 1));
      break;
    }
    if (word.startsWith('-') && word !== '-') {
      try {
        i = parseFlag(flags, known, argv, i);
      } catch (error) {
        if (error instanceof UsageError) error.isGlobal = path.length === 1;
        throw error;
      }
      continue;
    }
    const current = path[path.length - 1];
    const sub =
      args.length === 0 ? current.commands?.find((c) => c.name === word || c.aliases?.includes(word)) : undefined;
    if (sub === undefined) {
      args.push(word);
      continue;
    }
    path.push(sub);
    // Flags of the programs above stay usable behind a command's name, a command's own ones win.
    known = new Map([...known, ...declareAll(flags, sub)]);
  }
  return { path, flags, args };
}

function declareAll<C>(flags: ParsedFlags, command: CommandSpec<C>): Map<string, FlagSpec> {
  const known = new Map<string, FlagSpec>();
  for (const spec of [...(command.flags ?? []), HELP_FLAG]) {
    flags.declare(spec);
    for (const name of [spec.name, ...(spec.aliases ?? [])]) known.set(name, spec);
  }
  return known;
}

/** Returns the index of the last word that belongs to the flag. */
function parseFlag(
  flags: ParsedFlags,
  known: ReadonlyMap<string, FlagSpec>,
  argv: readonly string[],
  at: number,
): number {
  const body = argv[at].replace(/^--?/, '');
  const equals = body.indexOf('=');
  const name = equals < 0 ? body : body.slice(0, equals);
  const spec = known.get(name);
  if (spec === undefined) throw new UsageError(`flag provided but not defined: -${name}`);
  if (equals >= 0) {
    flags.add(spec, body.slice(equals + 1), true);
    return at;
  }
  if (spec.kind === 'bool') {
    flags.add(spec, 'true', true);
    return at;
  }
  if (at + 1 >= argv.length) throw new UsageError(`flag needs an argument: ${argv[at]}`);
  flags.add(spec, argv[at + 1], true);
  return at + 1;
}

function flagColumn(spec: FlagSpec): string {
  const value = spec.kind === 'bool' ? '' : spec.kind === 'list' ? ' string' : ` ${spec.kind}`;
  const names = [spec.name, ...(spec.aliases ?? [])]
    .map((n) => (n.length === 1 ? `-${n}` : `--${n}`) + value)
    .join(', ');
  return spec.kind === 'list' ? `${names} [ ${names} ]` : names;
}

function flagText(spec: FlagSpec): string {
  let text = spec.usage;
  if (spec.default !== undefined && spec.default !== '') {
    const quoted = spec.kind === 'string' || spec.kind === 'list';
    text += ` (default: ${quoted ? JSON.stringify(spec.default) : spec.default})`;
  }
  return spec.env === undefined ? text : `${text} [$${spec.env}]`;
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `   ${left.padEnd(width)}  ${right}`.trimEnd()).join('\n');
}

/** The text of `--help` for the last command of `path`. */
export function renderHelp<C>(path: readonly CommandSpec<C>[], version: string): string {
  const command = path[path.length - 1];
  const name = path.map((c) => c.name).join(' ');
  const visible = (c: CommandSpec<C>): readonly FlagSpec[] => (c.flags ?? []).filter((f) => f.hidden !== true);
  const commands = (command.commands ?? []).filter((c) => c.hidden !== true);
  const top = path.length === 1;
  const parts: string[] = [`NAME:\n   ${name} - ${command.usage}`];
  let usage = name;
  if (top && visible(command).length > 0) usage += ' [global options]';
  if (commands.length > 0) usage += ' [command [command options]]';
  else if (!top) usage += ' [options]';
  if (command.argsUsage !== undefined) usage += ` ${command.argsUsage}`;
  parts.push(`USAGE:\n   ${(command.usageText ?? usage).replaceAll('\n', '\n     ')}`);
  if (top) parts.push(`VERSION:\n   ${version}`);
  if (commands.length > 0) {
    const rows = commands.map((c) => [[c.name, ...(c.aliases ?? [])].join(', '), c.usage] as const);
    parts.push(`COMMANDS:\n${columns(rows)}`);
  }
  const own = [...visible(command), HELP_FLAG].map((f) => [flagColumn(f), flagText(f)] as const);
  if (top) parts.push(`GLOBAL OPTIONS:\n${columns([...own, ['--version, -v', 'print the version']])}`);
  else {
    parts.push(`OPTIONS:\n${columns(own)}`);
    const global = visible(path[0]).map((f) => [flagColumn(f), flagText(f)] as const);
    if (global.length > 0 && commands.length === 0) parts.push(`GLOBAL OPTIONS:\n${columns(global)}`);
  }
  return `${parts.join('\n\n')}\n`;
}
