import type { Mount } from '../types.ts';

/** Directories of an overlay, topmost first. A plain directory is a stack of one, an empty tree a stack of none. */
export type LayerDirs = readonly string[];

/** Options that say nothing about where an overlay's files are. Any other option makes the stack unknown. */
const HARMLESS = new Set([
  'ro',
  'rw',
  'index=off',
  'userxattr',
  'volatile',
  'xino=off',
  'metacopy=off',
  'nodev',
  'noatime',
]);

/** Splits `lowerdir=`; a colon in a name is written `\:`. */
function splitLower(text: string): string[] {
  return text.split(/(?<!\\):/).map((dir) => dir.replace(/\\(.)/g, '$1'));
}

/**
 * The directories that those mounts would show. undefined when the kind of mount or one of its options is not known: then
 * mount it and take `[mountpoint]`.
 */
export function layerDirsOf(mounts: readonly Mount[]): LayerDirs | undefined {
  if (mounts.length === 0) return [];
  if (mounts.length > 1) return undefined;
  const [mount] = mounts as readonly [Mount];
  if (mount.type === 'bind' || mount.type === 'rbind') return [mount.source];
  if (mount.type !== 'overlay') return undefined;
  let upper: string | undefined;
  let lower: string[] = [];
  for (const option of mount.options) {
    if (option.startsWith('upperdir=')) upper = option.slice(9);
    else if (option.startsWith('lowerdir=')) lower = splitLower(option.slice(9));
    else if (!option.startsWith('workdir=') && !option.startsWith('redirect_dir=') && !HARMLESS.has(option))
      return undefined;
  }
  return upper === undefined ? lower : [upper, ...lower];
}

/** The one directory that `upper` has on top of `lower`; undefined when they are not neighbours of one chain. */
export function upperDirOf(lower: LayerDirs, upper: LayerDirs): string | undefined {
  if (upper.length !== lower.length + 1) return undefined;
  return lower.every((dir, i) => dir === upper[i + 1]) ? upper[0] : undefined;
}
