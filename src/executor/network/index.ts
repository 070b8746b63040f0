/**
 * The network that steps get which ask for none: the mode of the worker goes in, namespaces that containers join come out.
 * Deliberately absent: the networks `host` and `none` of single steps (the container's spec), and resolv.conf and hosts.
 */
export { createNetworks } from './create-networks.ts';
export type { NetworkOptions } from './create-networks.ts';
export type { NetworkLease, Networks } from './types.ts';
