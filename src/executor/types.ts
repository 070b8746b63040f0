/** Runs processes in containers. Knows mounts and OCI specs, not LLB. */
import type { Readable, Writable } from 'node:stream';
import type { StepUsage } from './usage/index.ts';
import type { Mountable } from '../storage/types.ts';
import type { Post } from '../gatekeeper/index.ts';

export interface ExecMount {
  readonly source: Mountable;
  /** Path below the source, resolved inside it and race-free; '' is the whole. */
  readonly selector: string;
  readonly dest: string;
  readonly readonly: boolean;
}

export interface HostIp {
  readonly host: string;
  readonly ip: string;
}

export interface LinuxResources {
  readonly memory?: number;
  readonly memorySwap?: number;
  readonly cpuShares?: number;
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
}

/** What a step's proxy is to do with its requests. */
export type ProxyRequest = Pick<Post, 'judge' | 'note'>;

export interface ProcessMeta {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  /** `user[:group]`, names or numbers; '' is root. */
  readonly user: string;
  readonly readonlyRootfs: boolean;
  readonly hostname: string;
  readonly extraHosts: readonly HostIp[];
  readonly ulimits: readonly { name: string; soft: number; hard: number }[];
  readonly cgroupParent: string;
  readonly network: 'default' | 'host' | 'none';
  readonly security: 'sandbox' | 'insecure';
  readonly validExitCodes: readonly number[];
  readonly removeMountStubsRecursive: boolean;
  readonly resources?: LinuxResources;
  /** stdin and stdout are a terminal; what would go to stderr comes out of stdout. */
  readonly tty: boolean;
  /** W3C's `traceparent` of the span that the process runs in. */
  readonly traceParent?: string;
  /** Its requests go through a proxy, and nothing else goes out; the network says from where they go on, `none` needs none. */
  readonly proxy?: ProxyRequest;
  /** Names of devices of the host, as the executor's registry knows them. */
  readonly devices?: readonly string[];
}

export interface ProcessIo {
  readonly stdin?: Readable;
  readonly stdout?: Writable;
  readonly stderr?: Writable;
  /** Signals to forward, by name as `SIGTERM` or by number. */
  readonly signals?: AsyncIterable<NodeJS.Signals | number>;
  /** Sizes of the terminal, where there is one. */
  readonly resizes?: AsyncIterable<{ rows: number; cols: number }>;
}

/** A process ended with a code that counts as failure; `code` 255 where it is unknown. Its detail on the wire is gatewayapi.ExitMessage. */
export interface ExitErrorInfo {
  readonly code: number;
}

export interface Executor {
  /**
   * Resolves when the process has ended with a valid exit code. `onStarted` comes before any output; `onUsage` when the
   * process has ended, where the kernel tells what it used.
   */
  run(
    id: string | undefined,
    root: ExecMount,
    mounts: readonly ExecMount[],
    meta: ProcessMeta,
    io: ProcessIo,
    options: { signal: AbortSignal; onStarted?: () => void; onUsage?: (usage: StepUsage) => void },
  ): Promise<void>;
  /** A further process in the running container `id`. */
  exec(
    id: string,
    meta: ProcessMeta,
    io: ProcessIo,
    options: { signal: AbortSignal; onStarted?: () => void },
  ): Promise<void>;
}
