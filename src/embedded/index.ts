/**
 * A daemon inside buildctl's process: in comes the program's way to connect, out goes a connected client and the function
 * that ends it. It takes the ordinary root with its lock; a second buildctl that wants the same joins through a socket in
 * that root. Deliberately absent: any option, what the daemon does.
 */
export { openEmbedded } from './open.ts';
export type { Connect, Embedded } from './open.ts';
