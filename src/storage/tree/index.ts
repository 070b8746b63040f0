/**
 * File trees as layers of directories, read in place: what an overlay mount would show, without mounting it. In come
 * mounts, out go stacks of directories, their merged entries, and what one stack changed on another. All but the naming of
 * stacks is synchronous and meant for worker threads. Deliberately absent: writing.
 */
export { layerDirsOf, upperDirOf } from './layers.ts';
export type { LayerDirs } from './layers.ts';
export { isOpaque, isWhiteout, LayerTree, lstatEntry, readXattr } from './layer-tree.ts';
export type { TreeEntry, TreeFolder } from './layer-tree.ts';
export { layerChanges } from './changes.ts';
export type { LayerChange } from './changes.ts';
export { spellingOf } from './spelling.ts';
