import type { SpecNetwork } from '../spec/index.ts';
import type { ProxyRequest } from '../types.ts';

/** A container's hold on a network. */
export interface NetworkLease {
  readonly network: SpecNetwork;
  /** Call once, when no process is in it any more. `isClean` is false where one may have changed it: no other gets it then. */
  release(isClean: boolean): Promise<void>;
}

export interface ProxiedLease extends NetworkLease {
  /** Variables by which programs find the proxy. */
  readonly env: readonly string[];
  /** Whom they have to trust, PEM. */
  readonly authority: string;
}

/** One of the worker's modes. */
export type PlainNetworks = Omit<Networks, 'clearLeftovers' | 'acquireProxied'>;

export interface Networks {
  /** As the worker's label has it. */
  readonly mode: 'host' | 'cni';
  /** Ends what a killed predecessor left; no container of it runs any more. What cannot be ended is logged. */
  clearLeftovers(): Promise<void>;
  /** Makes one namespace, so that a configuration that cannot work is told at the start. */
  open(): Promise<void>;
  /** `hostname` '' is none of its own; others are told to the plugins, of which some make names of them. */
  acquire(hostname: string, signal: AbortSignal): Promise<NetworkLease>;
  /** A network whose only way out is a proxy; that has its own from the host's, or, `default`, from the worker's network. */
  acquireProxied(egress: 'default' | 'host', request: ProxyRequest, signal: AbortSignal): Promise<ProxiedLease>;
  /** Ends all namespaces; none is held any more. */
  close(): Promise<void>;
}
