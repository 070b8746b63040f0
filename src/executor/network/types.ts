import type { SpecNetwork } from '../spec/index.ts';

/** A container's hold on a network. */
export interface NetworkLease {
  readonly network: SpecNetwork;
  /** Call once, when no process is in it any more. `isClean` is false where one may have changed it: no other gets it then. */
  release(isClean: boolean): Promise<void>;
}

export interface Networks {
  /** As the worker's label has it. */
  readonly mode: 'host' | 'cni';
  /** Ends what a killed predecessor left; no container of it runs any more. What cannot be ended is logged. */
  clearLeftovers(): Promise<void>;
  /** Makes one namespace, so that a configuration that cannot work is told at the start. */
  open(): Promise<void>;
  /** `hostname` '' is none of its own; others are told to the plugins, of which some make names of them. */
  acquire(hostname: string, signal: AbortSignal): Promise<NetworkLease>;
  /** Ends all namespaces; none is held any more. */
  close(): Promise<void>;
}
