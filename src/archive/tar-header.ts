import type { ByteString } from './byte-string.ts';

/** Tar's type flags that mean something here. Others are carried through as they are. */
export const TarType = {
  File: '0',
  Link: '1',
  Symlink: '2',
  Char: '3',
  Block: '4',
  Dir: '5',
  Fifo: '6',
  /** Written by old Unix systems for contiguous files: a regular file to everyone else. */
  Contiguous: '7',
  Pax: 'x',
  PaxGlobal: 'g',
  GnuSparse: 'S',
  GnuLongName: 'L',
  GnuLongLink: 'K',
} as const;

export type TarFormat = 'ustar' | 'pax' | 'gnu';

/** Where the data of a sparse file lies, ascending and without overlaps: [offset, length]. */
export type SparseMap = ReadonlyArray<readonly [offset: number, length: number]>;

/** One entry of a tar. Strings are byte strings; times are nanoseconds since 1970. */
export interface TarHeader {
  readonly name: ByteString;
  /** One of {@link TarType} or any other character. */
  readonly type: string;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Length of the file; for a sparse one with its holes. Entries without data may carry one that means nothing. */
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly atimeNs?: bigint;
  readonly ctimeNs?: bigint;
  readonly linkname: ByteString;
  readonly uname: ByteString;
  readonly gname: ByteString;
  readonly devmajor: number;
  readonly devminor: number;
  /** PAX records beside those that fill the fields above: `SCHILY.xattr.*` and the unknown. Values are byte strings. */
  readonly pax?: ReadonlyMap<ByteString, ByteString>;
  /** undefined: the writer picks the plainest, and drops fractions of a second. */
  readonly format?: TarFormat;
  readonly sparse?: SparseMap;
}

/** The prefix of PAX records that hold extended attributes. */
export const XATTR_RECORD = 'SCHILY.xattr.';

/** Types whose entry has no data, whatever its size field says. */
export function isHeaderOnly(type: string): boolean {
  return type >= '1' && type <= '6' && type.length === 1;
}
