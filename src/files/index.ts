/**
 * File trees: walking, matching, copying within the machine, and fsutil's transfer of one to another machine. In go
 * directories, patterns and packet channels; out come stats, changes with content digests, byte counts. `sendTree` and
 * `receiveTree` work in threads; everything else here is synchronous and meant for the caller's own worker thread.
 * Inside, names are byte strings (archive/). Deliberately absent: mounts, sessions, what a tree is for.
 */
export { GoMode } from './types.ts';
export type { PacketChannel, ReceiveOptions, ReceiveResult, SendOptions, SentTree, TreeChange } from './types.ts';
export { sendTree, sendTrees } from './send-tree.ts';
export { receiveTree } from './receive-tree.ts';
export { goMode, hasData, unixMode } from './go-mode.ts';
export { hasWildcards, matchPath } from './glob.ts';
export { PatternMatcher } from './patterns.ts';
export type { ParentMatch } from './patterns.ts';
export { comparePaths } from './path-order.ts';
export { statEntry } from './stat-entry.ts';
export { walkTree } from './walk.ts';
export { walkOver } from './walk-over.ts';
export type { WalkEntry, WalkOptions } from './walk.ts';
export { followPaths } from './follow-paths.ts';
export { copyTree, newModeOf } from './copy/copy-tree.ts';
export type { CopyRequest, Owner } from './copy/copy-tree.ts';
export { decodeLaterFiles } from './copy/later-files.ts';
export type { LaterFolder } from './copy/later-files.ts';
export { FolderNames } from './copy/folder-names.ts';
export { FilePlacer } from './copy/place-file.ts';
export type { PlacedFile } from './copy/place-file.ts';
export type { GivenAttributes } from './copy/given-attributes.ts';
export { makeDir, makeDirs } from './copy/make-dirs.ts';
export { resolveSource, resolveTarget } from './copy/resolve.ts';
export { pathError } from './path-error.ts';
export { removeTree } from './remove-tree.ts';
export { setMtime } from './attributes.ts';
export { setTimes } from '../host/index.ts';
export { resolveWildcards } from './copy/wildcards.ts';
export { parseModeChange } from './copy/mode-change.ts';
