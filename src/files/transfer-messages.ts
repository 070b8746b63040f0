/** What the main thread and a transfer's worker thread say to each other. */
import type { PacketBlock } from './packet-codec.ts';

/** Blocks that may be on their way from the worker to the connection. */
export const CREDIT = 3;

/** What the worker says beside its result. */
export type FromWorker =
  | { readonly kind: 'packets'; readonly block: PacketBlock }
  /** A block of the peer's has been worked on. */
  | { readonly kind: 'taken' }
  | { readonly kind: 'event'; readonly event: unknown };

export type ToWorker =
  | { readonly kind: 'packets'; readonly block: PacketBlock }
  /** The peer has half-closed. */
  | { readonly kind: 'end' }
  /** A block of the worker's is on the connection. */
  | { readonly kind: 'written' }
  /** The job's signal aborted. */
  | { readonly kind: 'wake' };
