import { invalidArgument } from '../base/index.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';

/** Go's os.FileMode bits, as far as a header depends on them (the wire's `Stat.mode` carries these). */
const DIR = 0x80000000;
const SYMLINK = 0x08000000;
const DEVICE = 0x04000000;
const NAMED_PIPE = 0x02000000;
const SOCKET = 0x01000000;
const SETUID = 0x00800000;
const SETGID = 0x00400000;
const CHAR_DEVICE = 0x00200000;
const STICKY = 0x00100000;
const IRREGULAR = 0x00080000;

/** What the digest of an entry covers beside its data. `linkname` and xattr names may be raw bytes of a file system. */
export interface TarSumEntry {
  /** Go's os.FileMode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint | number;
  readonly linkname: string | Uint8Array;
  readonly devmajor: bigint | number;
  readonly devminor: bigint | number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

/** The tar type of a Go mode; undefined when a tar cannot hold such a file. Sockets count as regular files (the bit is dropped). */
function typeflag(mode: number): string | undefined {
  if (has(mode, DIR)) return '5';
  if (has(mode, SYMLINK)) return '2';
  if (has(mode, DEVICE)) return has(mode, CHAR_DEVICE) ? '3' : '4';
  if (has(mode, NAMED_PIPE)) return '6';
  return has(mode, CHAR_DEVICE) ? undefined : '0';
}

function has(mode: number, bit: number): boolean {
  return (mode & bit) !== 0;
}

/** Extended attributes that are part of a digest: all but `security.*` and `system.*`, file capabilities excepted. */
function isCounted(xattr: string): boolean {
  return xattr === 'security.capability' || !(xattr.startsWith('security.') || xattr.startsWith('system.'));
}

/**
 * The tar-sum version 1 header of an entry: the bytes that are hashed before the entry's data (upstream:
 * cache/contenthash/filehash.go and tarsum.go). Name and times are not in it. Throws InvalidArgument for a mode that no tar
 * entry can have.
 */
export function tarSumHeader(entry: TarSumEntry): Uint8Array {
  const mode = entry.mode & ~(SOCKET | IRREGULAR);
  const type = typeflag(mode);
  if (type === undefined) throw invalidArgument(`archive/tar: unknown file mode ${(mode >>> 0).toString(8)}`);
  const bits =
    (mode & 0o777) |
    (has(mode, SETUID) ? 0o4000 : 0) |
    (has(mode, SETGID) ? 0o2000 : 0) |
    (has(mode, STICKY) ? 0o1000 : 0);
  const size = type === '0' ? entry.size : 0;
  const before = `namemode${bits}uid${entry.uid}gid${entry.gid}size${size}typeflag${type}linkname`;
  const after = `unamegnamedevmajor${entry.devmajor}devminor${entry.devminor}`;
  const link = type === '2' ? entry.linkname : '';
  if (entry.xattrs.size === 0 && typeof link === 'string') return Buffer.from(before + link + after);
  const parts: Uint8Array[] = [
    Buffer.from(before),
    typeof link === 'string' ? Buffer.from(link) : link,
    Buffer.from(after),
  ];
  const names = [...entry.xattrs.keys()].filter(isCounted).map((name) => ({ name, bytes: Buffer.from(name) }));
  names.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  for (const { name, bytes } of names) parts.push(bytes, entry.xattrs.get(name) as Uint8Array);
  return Buffer.concat(parts);
}

/** {@link tarSumHeader} of a stat as fsutil's wire carries it. */
export function contentHashHeader(stat: Stat): Uint8Array {
  try {
    return tarSumHeader(stat);
  } catch (e) {
    throw invalidArgument(`failed to checksum file ${stat.path}: ${(e as Error).message}`, { cause: e });
  }
}
