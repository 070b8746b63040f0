import { posix } from 'node:path';
import { fromByteString, toByteString } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { resolveInRoot } from '../../host/index.ts';
import { pathError } from '../path-error.ts';

/** Where `path` is on this machine, all links followed below `root`; the end of it need not exist. */
export function resolveTarget(root: string, path: ByteString): ByteString {
  const text = posix.join('/', fromByteString(path));
  try {
    return toByteString(resolveInRoot(root, text)).replace(/(?<=.)\/+$/, '');
  } catch (error) {
    throw pathError(error, 'open', text);
  }
}

/** {@link resolveTarget}, where a link at the end of the path stays one unless `followLinks`. */
export function resolveSource(root: string, path: ByteString, followLinks: boolean): ByteString {
  const clean = posix.join('/', path).replace(/(?<=.)\/+$/, '');
  if (clean === '/' || followLinks) return resolveTarget(root, clean);
  return `${resolveTarget(root, posix.dirname(clean))}/${posix.basename(clean)}`;
}
