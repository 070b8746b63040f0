/**
 * Containers that clients and frontends start on results of a build. In come requests of the gateway, out come processes with
 * streams to them. Deliberately absent: which build a call is for, what its ids stand for (the gateway's sessions), and how a
 * container is run (executor/).
 */
export { Containers } from './containers.ts';
export type { ContainerDeps, ContainerRequest } from './container.ts';
