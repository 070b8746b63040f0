import { unimplemented } from '../base/index.ts';
import type { Executor } from './types.ts';

export interface RuncExecutorOptions {
  /** Folder for bundles and the runtime's state. */
  readonly root: string;
  /** Name or path of the runtime; undefined: the first of buildkit-runc and runc in PATH. */
  readonly binary?: string;
  readonly cgroupParent?: string;
  readonly dns?: {
    readonly nameservers: readonly string[];
    readonly options: readonly string[];
    readonly searchDomains: readonly string[];
  };
}

export interface RuncExecutor extends Executor {
  /** Ends and clears what a killed predecessor left below the root. */
  killLeftovers(): Promise<void>;
  close(): Promise<void>;
}

/** Not there yet: a process that is to run is refused, never run without its confinement. */
export function createRuncExecutor(_options: RuncExecutorOptions): RuncExecutor {
  return {
    async run() {
      throw unimplemented('running processes is not implemented');
    },
    async exec() {
      throw unimplemented('running processes is not implemented');
    },
    async killLeftovers() {},
    async close() {},
  };
}
