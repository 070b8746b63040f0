/** Instructions as values. */
import type { LineRange } from '../located-error.ts';

export interface Located {
  /** The instruction's word as it was written. */
  readonly name: string;
  /** The whole instruction without its heredocs. */
  readonly code: string;
  readonly location: readonly LineRange[];
  readonly comments: readonly string[];
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** The old form with a blank between them. */
  readonly legacy: boolean;
}

export interface ArgDefinition {
  readonly key: string;
  readonly value?: string;
  readonly description: string;
}

export interface SourceContent {
  readonly path: string;
  readonly data: string;
  readonly expand: boolean;
}

export interface SourcesAndDest {
  readonly sources: readonly string[];
  readonly contents: readonly SourceContent[];
  readonly dest: string;
}

export interface InlineFile {
  readonly name: string;
  readonly data: string;
  readonly chomp: boolean;
}

/** A command line that a shell may have to be put in front of. */
export interface CommandLine {
  readonly args: readonly string[];
  readonly files: readonly InlineFile[];
  readonly shellForm: boolean;
}

export interface Healthcheck {
  readonly test: readonly string[];
  /** Nanoseconds. */
  readonly interval: bigint;
  readonly timeout: bigint;
  readonly startPeriod: bigint;
  readonly startInterval: bigint;
  readonly retries: number;
}

export type MountType = 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh';

export interface Mount {
  readonly type: MountType;
  readonly from: string;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly sizeLimit: bigint;
  readonly id: string;
  readonly sharing: '' | 'shared' | 'private' | 'locked';
  readonly required: boolean;
  readonly env?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface Device {
  readonly name: string;
  readonly required: boolean;
}

export interface CopyFlags extends SourcesAndDest {
  readonly chown: string;
  readonly chmod: string;
  readonly link: boolean;
  readonly excludes: readonly string[];
}

export type Command = Located &
  (
    | { readonly kind: 'env'; readonly pairs: readonly KeyValue[] }
    | { readonly kind: 'label'; readonly pairs: readonly KeyValue[] }
    | { readonly kind: 'maintainer'; readonly author: string }
    | ({
        readonly kind: 'add';
        readonly keepGitDir?: boolean;
        readonly checksum: string;
        readonly unpack?: boolean;
      } & CopyFlags)
    | ({ readonly kind: 'copy'; readonly from: string; readonly parents: boolean } & CopyFlags)
    | { readonly kind: 'onbuild'; readonly expression: string }
    | { readonly kind: 'workdir'; readonly path: string }
    | {
        readonly kind: 'run';
        readonly line: CommandLine;
        /** Values of `--mount`, read once more when variables are known. */
        readonly mounts: readonly string[];
        readonly devices: readonly Device[];
        readonly network: 'default' | 'none' | 'host';
        readonly security: 'sandbox' | 'insecure';
      }
    | { readonly kind: 'cmd'; readonly line: CommandLine }
    | { readonly kind: 'entrypoint'; readonly line: CommandLine }
    | { readonly kind: 'healthcheck'; readonly health: Healthcheck }
    | { readonly kind: 'expose'; readonly ports: readonly string[] }
    | { readonly kind: 'user'; readonly user: string }
    | { readonly kind: 'volume'; readonly volumes: readonly string[] }
    | { readonly kind: 'stopsignal'; readonly signal: string }
    | { readonly kind: 'arg'; readonly args: readonly ArgDefinition[] }
    | { readonly kind: 'shell'; readonly shell: readonly string[] }
  );

export type CommandOf<K extends Command['kind']> = Extract<Command, { kind: K }>;

export interface Stage extends Located {
  readonly kind: 'from';
  /** Lower case; empty when the stage has none. */
  readonly stageName: string;
  readonly baseName: string;
  readonly platform: string;
  readonly description: string;
  readonly commands: readonly Command[];
}
