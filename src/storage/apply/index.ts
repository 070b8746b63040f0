/**
 * Archives to trees and trees to archives: layers unpacked into snapshots, archives for ADD, trees as a tar stream. Work is
 * done by worker threads; every path is resolved below its root. Deliberately absent: mounts, the content store.
 */
import type { WorkOptions } from '../diff/types.ts';
import type { AppliedLayer, ApplyRequest, PackEntry, PackOptions, UnpackRequest } from './types.ts';

export type { AppliedLayer, ApplyRequest, PackEntry, PackOptions, UnpackRequest } from './types.ts';

export function applyLayer(_request: ApplyRequest, _options: WorkOptions = {}): Promise<AppliedLayer> {
  throw new Error('not yet');
}

/** false when `source` is not a regular file that begins as a (compressed) tar: nothing was written then, the caller copies. */
export function unpackArchive(_request: UnpackRequest, _options: WorkOptions = {}): Promise<boolean> {
  throw new Error('not yet');
}

/** The trees as one tar, in chunks of about 1 MiB; leaving the loop ends the work. */
export function packDirectories(_entries: readonly PackEntry[], _options: PackOptions = {}): AsyncIterable<Uint8Array> {
  throw new Error('not yet');
}
