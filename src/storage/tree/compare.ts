/** Whether two entries are the same to a differ: containerd's rule, on which the content of layers depends. */
import { closeSync, openSync, readSync, readlinkSync } from 'node:fs';
import { fsPath } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { KEPT_RECORDS } from '../../archive/windows/index.ts';
import { readXattr } from './layer-tree.ts';
import type { TreeEntry } from './layer-tree.ts';

const PIECE = 256 << 10;

function sameContent(a: ByteString, b: ByteString): boolean {
  const one = openSync(fsPath(a), 'r');
  try {
    const other = openSync(fsPath(b), 'r');
    try {
      const left = Buffer.allocUnsafe(PIECE);
      const right = Buffer.allocUnsafe(PIECE);
      for (;;) {
        const n = readSync(one, left, 0, PIECE, null);
        let m = 0;
        while (m < n) {
          const more = readSync(other, right, m, n - m, null);
          if (more === 0) return false;
          m += more;
        }
        if (n === 0) return readSync(other, right, 0, 1, null) === 0;
        if (left.compare(right, 0, n, 0, n) !== 0) return false;
      }
    } finally {
      closeSync(other);
    }
  } finally {
    closeSync(one);
  }
}

function sameXattr(a: ByteString, b: ByteString, name: string): boolean {
  const one = readXattr(a, name);
  const other = readXattr(b, name);
  if (one === undefined || other === undefined) return one === other;
  return Buffer.compare(one, other) === 0;
}

const SECOND = 1_000_000_000n;

/**
 * By inode, else by mode, owner, device, capability and, but for folders, size and time. Times without a fraction in both may
 * have been cut by an archive: then the content decides. `withRecords`: what Windows says of them counts too.
 */
export function sameEntry(a: TreeEntry, b: TreeEntry, withRecords: boolean = false): boolean {
  const x = a.stat;
  const y = b.stat;
  if (x.dev === y.dev && x.ino === y.ino) return true;
  if (x.mode !== y.mode || x.uid !== y.uid || x.gid !== y.gid || x.rdev !== y.rdev) return false;
  if (!sameXattr(a.real, b.real, 'security.capability')) return false;
  if (withRecords && !KEPT_RECORDS.every((name) => sameXattr(a.real, b.real, name))) return false;
  if (x.isDirectory()) return true;
  if (x.size !== y.size || x.mtimeNs !== y.mtimeNs) return false;
  if (x.mtimeNs % SECOND !== 0n) return true;
  if (x.isSymbolicLink()) return readlinkSync(fsPath(a.real), 'latin1') === readlinkSync(fsPath(b.real), 'latin1');
  return !x.isFile() || x.size === 0n || sameContent(a.real, b.real);
}
