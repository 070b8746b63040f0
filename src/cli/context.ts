import type { ParsedFlags } from '../base/index.ts';
import type { Client } from '../client/index.ts';
import type { StandardOutput } from './standard-output.ts';

export interface ClientOptions {
  /** A daemon of this program's own may serve the command. */
  readonly mayEmbed?: boolean;
  /** What failed when nobody answers, as the command's first call would put it. */
  readonly failure?: string;
}

/** What commands have beside their flags. */
export interface CommandContext {
  /** Aborts on the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  readonly stdout: StandardOutput;
  readonly stderr: StandardOutput;
  readonly stdin: NodeJS.ReadStream;
  /** Of the command's span, where somebody asks for spans. */
  readonly traceParent?: string | undefined;
  readonly print: (text: string, where?: 'stdout' | 'stderr') => void;
  /** Connects as the global flags say, or starts a daemon where that is meant. Closed by the program. */
  readonly client: (flags: ParsedFlags, options?: ClientOptions) => Promise<Client>;
}

export type Action = (flags: ParsedFlags, args: readonly string[], context: CommandContext) => Promise<void>;
