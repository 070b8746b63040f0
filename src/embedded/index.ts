/**
 * A daemon of buildctl's own: out goes a connected client and the function that ends the
 * daemon. It is a process beside buildctl (`daemon.ts`), takes the ordinary root with its lock and ends with the last of its
 * clients; a second buildctl that wants the same joins through a socket in that root. Deliberately absent: any option, what the
 * daemon does.
 */
export { openEmbedded } from './open.ts';
export type { Embedded } from './open.ts';
