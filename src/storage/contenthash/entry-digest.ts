import { createHash } from 'node:crypto';
import { closeSync, constants, openSync, readlinkSync, readSync } from 'node:fs';
import { fromByteString, fsPath, tarSumHeader } from '../../archive/index.ts';
import { wrapError } from '../../base/index.ts';
import { goMode } from '../../files/index.ts';
import { getXattr, listXattrs } from '../../host/index.ts';
import type { TreeEntry } from '../tree/index.ts';

const PIECE = 1 << 20;

/** An overlay's own attributes are not seen in its mount. */
function isHidden(name: string, overlay: boolean): boolean {
  return overlay && (name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.'));
}

function xattrsOf(entry: TreeEntry, overlay: boolean): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  const path = fsPath(entry.real);
  for (const name of listXattrs(path)) {
    if (isHidden(name, overlay)) continue;
    try {
      const value = getXattr(path, name);
      if (value !== undefined) found.set(name, value);
    } catch {
      // One that may be listed but not read is none (upstream).
    }
  }
  return found;
}

/**
 * The digest of one entry: its tar-sum header and, of a file, its data. A folder's is that of its attributes alone. Device
 * numbers are left out: upstream's test for devices never holds (cache/contenthash/filehash_unix.go).
 */
export function entryDigest(entry: TreeEntry, overlay: boolean, check: () => void): string {
  const { stat, real } = entry;
  const isLink = stat.isSymbolicLink();
  try {
    const hash = createHash('sha256');
    hash.update(
      tarSumHeader({
        mode: isLink ? goMode(Number(stat.mode)) | 0o777 : goMode(Number(stat.mode)),
        uid: Number(stat.uid),
        gid: Number(stat.gid),
        size: stat.size,
        linkname: isLink ? readlinkSync(fsPath(real), 'buffer') : '',
        devmajor: 0,
        devminor: 0,
        xattrs: xattrsOf(entry, overlay),
      }),
    );
    if (stat.isFile() && stat.size > 0n) {
      const fd = openSync(fsPath(real), constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        const piece = Buffer.allocUnsafe(Math.min(PIECE, Number(stat.size)));
        for (;;) {
          const n = readSync(fd, piece, 0, piece.length, null);
          if (n === 0) break;
          hash.update(piece.subarray(0, n));
          check();
        }
      } finally {
        closeSync(fd);
      }
    }
    return `sha256:${hash.digest('hex')}`;
  } catch (error) {
    check();
    throw wrapError(error, `failed to create hash for ${fromByteString(real)}`);
  }
}
