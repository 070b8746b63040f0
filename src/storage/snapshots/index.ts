/**
 * Snapshotters: trees of files on top of each other. In come parents, out go mounts and directories. Deliberately absent:
 * who needs a snapshot, blobs, and mounting them.
 */
export { openSnapshotter } from './open.ts';
export { probeOverlay } from './overlay-abilities.ts';
export type { OverlayAbilities } from './overlay-abilities.ts';
export type { SnapshotterName } from './open.ts';
export { shareFiles } from './shared-files.ts';
export { SyncGenerations } from './sync-generations.ts';
export type * from './types.ts';
