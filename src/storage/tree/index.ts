/**
 * File trees as layers of directories, read in place: what an overlay mount would show, without mounting it. In come
 * mounts, out go stacks of directories and their merged entries. Deliberately absent: writing.
 */
export { layerDirsOf, upperDirOf } from './layers.ts';
export type { LayerDirs } from './layers.ts';
