/** Targets of symbolic links and mount points, between Windows and a tree on Linux. Byte strings. */
import type { ByteString } from '../byte-string.ts';

/** `\\?\C:\…`, `\??\C:\…` and `C:\…` are all the drive that the image is on. */
const SYSTEM_DRIVE = /^(?:\/\/\?\/|\/\?\?\/)?c:(?=\/|$)/i;

/** What a link on Linux is to say so that it leads to the same place; what leads nowhere there stays nearly as it is. */
export function linkTargetOnLinux(target: ByteString): ByteString {
  const slashes = target.replaceAll('\\', '/');
  const path = slashes.replace(SYSTEM_DRIVE, '');
  return path === '' ? '/' : path;
}

/** Is it all said by the link on Linux? Windows' importer takes slashes too. */
export function isPlainTarget(target: ByteString): boolean {
  return linkTargetOnLinux(target) === target.replaceAll('\\', '/') && target !== '';
}
