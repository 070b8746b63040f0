import { GoMode } from './types.ts';

const S_IFMT = 0o170000;

const TYPE_TO_GO: Readonly<Record<number, number>> = {
  0o040000: GoMode.Dir,
  0o120000: GoMode.Symlink,
  0o060000: GoMode.Device,
  0o020000: GoMode.Device | GoMode.CharDevice,
  0o010000: GoMode.NamedPipe,
  0o140000: GoMode.Socket,
};

/** st_mode to Go's os.FileMode, as an unsigned number. */
export function goMode(stMode: number): number {
  let mode = stMode & GoMode.Perm;
  if ((stMode & 0o4000) !== 0) mode |= GoMode.Setuid;
  if ((stMode & 0o2000) !== 0) mode |= GoMode.Setgid;
  if ((stMode & 0o1000) !== 0) mode |= GoMode.Sticky;
  return (mode | (TYPE_TO_GO[stMode & S_IFMT] ?? 0)) >>> 0;
}

/** The bits that chmod(2) takes, of a Go mode. */
export function unixMode(mode: number): number {
  return (
    (mode & GoMode.Perm) |
    ((mode & GoMode.Setuid) === 0 ? 0 : 0o4000) |
    ((mode & GoMode.Setgid) === 0 ? 0 : 0o2000) |
    ((mode & GoMode.Sticky) === 0 ? 0 : 0o1000)
  );
}

export function isDir(mode: number): boolean {
  return (mode & GoMode.Dir) !== 0;
}

export function isSymlink(mode: number): boolean {
  return (mode & GoMode.Symlink) !== 0;
}

/** Only such entries have data; sender and receiver must agree on it (fsutil/send.go fileCanRequestData). */
export function hasData(mode: number): boolean {
  return (mode & GoMode.Type) === 0;
}
