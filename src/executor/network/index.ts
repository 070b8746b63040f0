/**
 * The network that steps get which ask for none: the mode of the worker goes in, namespaces that containers join come out.
 * Steps whose requests are guarded get one behind a proxy. Deliberately absent: the networks `host` and `none` of single steps (the
 * container's spec), and resolv.conf and hosts.
 */
export { createNetworks } from './create-networks.ts';
export type { NetworkOptions } from './create-networks.ts';
export type { NetworkLease, Networks, ProxiedLease } from './types.ts';
