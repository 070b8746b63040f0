import { posix } from 'node:path';
import { fromByteString, toByteString } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { resolveInRoot } from '../../host/index.ts';
import { pathError } from '../path-error.ts';
import type { FolderNames } from './folder-names.ts';

/**
 * Where `path` is on this machine, all links followed below `root`; the end of it need not exist. `names`: it is a tree of Windows,
 * and they are how it spells its names.
 */
export function resolveTarget(root: string, path: ByteString, names?: FolderNames): ByteString {
  const text = posix.join('/', fromByteString(path));
  const spelt =
    names === undefined
      ? undefined
      : (folder: string, name: string) => fromByteString(names.in(toByteString(folder), toByteString(name)));
  try {
    return toByteString(resolveInRoot(root, text, spelt)).replace(/(?<=.)\/+$/, '');
  } catch (error) {
    throw pathError(error, 'open', text);
  }
}

/** {@link resolveTarget}, where a link at the end of the path stays one unless `followLinks`. */
export function resolveSource(root: string, path: ByteString, followLinks: boolean, names?: FolderNames): ByteString {
  const clean = posix.join('/', path).replace(/(?<=.)\/+$/, '');
  if (clean === '/' || followLinks) return resolveTarget(root, clean, names);
  const folder = resolveTarget(root, posix.dirname(clean), names);
  const name = posix.basename(clean);
  return `${folder}/${names?.in(folder, name) ?? name}`;
}
